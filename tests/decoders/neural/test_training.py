"""Training: the same weights whether it was stopped or not, new shots only, and it learns."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
import stim
import torch

from decoders.baselines.ensemble import EnsembleMatching
from decoders.neural.lessons import Lessons
from decoders.neural.training import OURS, RIVALS, STATE, HeldOut, Trained, on_device, train
from decoders.neural.training_config import TrainingConfig
from decoders.neural.training_state import TrainingState
from decoders.shots import NumberedShots

SMALL: dict[str, Any] = {
    "code": {"name": "rotated-surface", "distance": [3], "basis": ["X"]},
    "noise": {"kind": "depolarizing", "p": [0.004, 0.008]},
    "network": {"kind": "residual", "members": 2, "channels": 4, "depth": 2},
    "examples": 640, "batch": 64, "workers": 0, "held_out": {"shots": 2_000, "every": 320},
    "device": "cpu", "threads": 1,
}  # fmt: skip
RECURRENT = {"kind": "recurrent", "members": 0, "channels": 6}
PRE_DECODER = {"kind": "pre-decoder", "channels": 4, "depth": 2}
BESIDE = {**SMALL["network"], "beside": ["soft", "leaked"]}
READOUT = {"separation": 4.0, "leaked": 0.01}
KINDS = {"residual": (SMALL["network"], None), "recurrent": (RECURRENT, None),
         "pre-decoder": (PRE_DECODER, None), "beside": (BESIDE, READOUT)}  # fmt: skip


def config(**others: Any) -> TrainingConfig:
    return TrainingConfig(**{**SMALL, **others})


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return trained.network.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_and_gone_on_with_gives_the_same_weights(tmp_path: pathlib.Path, kind: str) -> None:
    network, readout = KINDS[kind]
    given = config(network=network, readout=readout)
    whole = train(given, tmp_path / "whole")
    for step in (1, 4, 7):
        train(given, tmp_path / "parts", until=step)
    parts = train(given, tmp_path / "parts")
    assert same(weights(whole), weights(parts))
    told = [[one.model_dump(exclude={"seconds"}) for one in trained.judgements]
            for trained in (whole, parts)]  # fmt: skip
    assert told[0] == told[1]
    assert not same(weights(whole), weights(train(given, tmp_path / "early", until=9)))
    assert not same(
        weights(whole),
        weights(train(config(network=network, readout=readout, seed=2), tmp_path / "other")),
    )


def children_of(pid: int) -> list[int]:
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def is_alive(pid: int) -> bool:
    try:
        return "(zombie)" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


_KILLED = """
import pathlib, sys
from decoders.neural import training
from decoders.neural.training_config import TrainingConfig
from decoders.neural.training_state import TrainingState
if __name__ == "__main__":
    training._KEEP_EVERY_S = 0.0
    config = TrainingConfig.model_validate_json(sys.argv[1])
    training.train(config, pathlib.Path(sys.argv[2]))
"""


def test_killed_at_any_moment_it_goes_on_to_the_same_weights(tmp_path: pathlib.Path) -> None:
    given = config(examples=6_400, workers=1)
    script = tmp_path / "killed.py"
    script.write_text(_KILLED)
    running = subprocess.Popen(
        [sys.executable, script, given.model_dump_json(), tmp_path / "killed"],
        cwd=pathlib.Path(__file__).parents[3], stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": str(pathlib.Path(__file__).parents[3])},
    )  # fmt: skip
    state = tmp_path / "killed" / STATE
    for _ in range(1200):
        if state.exists():
            break
        time.sleep(0.05)
    time.sleep(0.3)
    drawing = children_of(running.pid)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert state.exists()
    killed = train(given, tmp_path / "killed")
    assert same(weights(killed), weights(train(given, tmp_path / "whole")))
    assert drawing
    for _ in range(600):
        if not any(map(is_alive, drawing)):
            break
        time.sleep(0.05)
    assert not any(map(is_alive, drawing)), "processes that draw live on"


def test_who_draws_makes_no_difference_and_no_batch_comes_twice() -> None:
    alone = list(Lessons(config()).from_(0))
    helped = list(Lessons(config(workers=2)).from_(3))
    assert len(alone) == 10
    assert len(helped) == 7
    for one, other in zip(alone[3:], helped, strict=True):
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name])
    assert len({batch["edges"].tobytes() for batch in alone}) == 10
    assert {len(batch["kept"]) for batch in alone} == {64}


def test_the_curriculum_begins_with_circuits_of_few_events() -> None:
    noise = {"kind": "depolarizing", "p": [0.008, 0.004]}
    lessons = Lessons(config(noise=noise, curriculum=0.5, examples=64_000))
    chosen = [lessons.points[lessons.choice(number)[0]].p for number in range(1_000)]
    assert set(chosen[:250]) == {0.004}
    assert 200 < chosen[500:].count(0.008) < 300  # of 500; five standard deviations are 56


def test_before_it_is_trained_it_is_the_ensemble() -> None:
    given = config()
    lessons = Lessons(given)
    network = given.network.network(len(lessons.kinds), lessons.layers)
    for point, problem in zip(lessons.points, lessons.problems, strict=True):
        events, _ = NumberedShots(point.circuit, seed=5).take(0, 4_000)
        ensemble = EnsembleMatching(members=2)
        expected = ensemble.compile_decoder_for_dem(dem=problem.model).decode_shots_bit_packed(
            bit_packed_detection_event_data=events
        )
        compiled = given.network.decoder(network, problem)
        found = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        np.testing.assert_array_equal(found, expected)
        assert found.any()


def test_exchanging_the_values_turns_the_sign() -> None:
    given = config()
    lessons = Lessons(given)
    network = given.network.network(len(lessons.kinds), lessons.layers)
    torch.manual_seed(1)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    seen = on_device(lessons.batch(0), "cpu")
    seen.pop("kept")
    kinds = len(lessons.kinds)
    difference, total = seen["edges"][:, :kinds], seen["edges"][:, kinds:]
    turned = {**seen, "scalars": -seen["scalars"], "edges": torch.cat([-difference, total], dim=1)}
    torch.testing.assert_close(network(**turned), -network(**seen))
    assert network(**seen).abs().max() > 0.1


def test_a_recurrent_network_takes_any_number_of_rounds_and_sees_each(
    tmp_path: pathlib.Path,
) -> None:
    given = config(network=RECURRENT)
    trained = train(given, tmp_path)
    longer = Lessons(config(network=RECURRENT, code={**SMALL["code"], "rounds": [7]}))
    seen = on_device(longer.batch(0), "cpu")
    seen.pop("kept")
    said = trained.network(**seen)
    for moment in range(seen["events"].shape[2]):
        events = seen["events"].clone()
        events[:, :, moment] = 1 - events[:, :, moment]
        assert not torch.equal(trained.network(**{**seen, "events": events}), said)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["residual", "recurrent"])
def test_it_learns_what_one_matching_leaves_out(tmp_path: pathlib.Path, kind: str) -> None:
    """On open shots that training did not see: 8,000 tell a mean loss to 0.004."""
    network = {"kind": kind, "members": 1, "channels": 16}
    given = config(network=network, noise={"kind": "depolarizing", "p": [0.006]},
                   examples=38_400, batch=64, curriculum=0.0)  # fmt: skip
    trained = train(given, tmp_path)
    others = Lessons(given.model_copy(update={"seed": 77, "batch": 8_000}))
    untrained = given.network.network(len(others.kinds), others.layers)
    batch = on_device(others.batch(0), "cpu")
    with torch.no_grad():
        before, after = (one.loss(batch) for one in (untrained, trained.network))
    assert after < before - 0.007
    last = trained.judgements[-1]
    assert last.errors[OURS] < last.errors[RIVALS[0]]


def marked(events: np.ndarray) -> set[bytes]:
    """Shots of so many events that no two are alike by chance."""
    flat = events.reshape(len(events), -1).astype(bool)
    return {one.tobytes() for one in flat if one.sum() >= 8}


@pytest.mark.parametrize("readout", [None, {"separation": 5.0}], ids=["bits", "values"])
def test_held_out_shots_are_never_drawn(readout: dict[str, float] | None) -> None:
    given = config(
        noise={"kind": "depolarizing", "p": [0.03]}, held_out={"shots": 20_000}, readout=readout
    )
    lessons = Lessons(given)
    kept = HeldOut(lessons, given).given[0][0]
    (problem,) = lessons.problems
    unpacked = np.unpackbits(kept, axis=1, count=problem.graph.detectors, bitorder="little")
    held_out = marked(problem.lattice.with_events(unpacked.astype(bool)))
    drawn = [marked(lessons.batch(number)["events"]) for number in range(60)]
    assert len(held_out) > 2_000
    assert sum(map(len, drawn)) > 500
    assert len(set.union(*drawn)) > 0.99 * sum(map(len, drawn))
    assert len(held_out & set.union(*drawn)) < 0.01 * sum(map(len, drawn))


@pytest.mark.parametrize("broken", ["_averaged", "judged", "batch"])
def test_stopped_amid_anything_it_goes_on_to_the_same(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Ctrl-C amid a step, amid a judgement, and before there is a first batch."""
    given = config()
    whole = train(given, tmp_path / "whole")
    owner = {"_averaged": TrainingState, "judged": HeldOut, "batch": Lessons}[broken]

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, broken, stop)
        with pytest.raises(KeyboardInterrupt):
            train(given, tmp_path / "parts")
    parts = train(given, tmp_path / "parts")
    assert same(weights(whole), weights(parts))
    told = [[one.model_dump(exclude={"seconds"}) for one in trained.judgements]
            for trained in (whole, parts)]  # fmt: skip
    assert told[0] == told[1]
    assert [one.step for one in parts.judgements] == [0, 5, 10]


def test_another_configs_state_is_refused(tmp_path: pathlib.Path) -> None:
    train(config(), tmp_path, until=2)
    with pytest.raises(ValueError, match="another config's training: take a new folder"):
        train(config(seed=2), tmp_path)
    assert train(config(workers=1, title="with help"), tmp_path, until=3).step == 3


def own(folder: pathlib.Path, *texts: str) -> dict[str, Any]:
    """The user's own circuits."""
    paths = [folder / f"{number}.stim" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return {"code": None, "noise": (), "circuits": paths}


def repetition(distance: int, p: float) -> str:
    return str(stim.Circuit.generated(
        "repetition_code:memory", distance=distance, rounds=3, before_round_data_depolarization=p,
        before_measure_flip_probability=p,
    ))  # fmt: skip


def test_examples_are_of_all_observables(tmp_path: pathlib.Path) -> None:
    """Two repetition codes beside each other, the second of which is twice as often open."""
    first, second = repetition(3, 0.04), repetition(3, 0.06).replace("(0)", "(1)")
    given = config(**own(tmp_path, f"{first}\n{second}"), batch=128)
    (problem,) = Lessons(given).problems
    batch = Lessons(given).batch(0)
    difference = np.abs(batch["edges"][:, : len(problem.lattice.kinds)]).sum(axis=(0, 2, 3, 4))
    flipping = [kind.flipped for kind in problem.lattice.kinds]
    shares = [difference[[flipped == (one,) for flipped in flipping]].sum() for one in (0, 1)]
    assert 0.2 < shares[0] / shares[1] < 1


def test_what_cannot_be_trained_on_is_refused(tmp_path: pathlib.Path) -> None:
    layered = repetition(3, 0.05).replace("DETECTOR(1, ", "DETECTOR(3, ")
    with pytest.raises(ValueError, match="up to 2 detectors share a place"):
        Lessons(config(**own(tmp_path, repetition(3, 0.05), layered)))
    two = own(tmp_path, f"{repetition(3, 0.05)}\n{repetition(3, 0.05).replace('(0)', '(1)')}")
    with pytest.raises(ValueError, match=r"set network\.members = 4"):
        Lessons(config(**two, network=RECURRENT))
    silent = config(**own(tmp_path, repetition(9, 1e-6)))
    with pytest.raises(ValueError, match="leaves 0 open, fewer than a batch of 64"):
        Lessons(silent).batch(0)
