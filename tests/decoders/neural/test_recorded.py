"""Recorded shots: parts share none, a kill changes nothing, and the judgement is fair."""

from __future__ import annotations

import functools
import pathlib
from typing import Any

import numpy as np
import pytest
import stim
import torch
from numpy.typing import NDArray

from decoders.neural.decoder_file import OURS, START, read_header, write_decoder
from decoders.neural.lessons import lessons_of
from decoders.neural.model_card import model_card
from decoders.neural.recorded_lessons import Parts, RecordedLessons
from decoders.neural.trained import TrainedDecoder
from decoders.neural.training import STATE, HeldOut, Trained, train
from decoders.neural.training_config import RecordedRecipe, TrainingConfig
from decoders.neural.training_state import TrainingState
from decoders.shots import NumberedShots
from tests.decoders.neural.small_decoder import circuit_of, model_of, trained

Packed = NDArray[np.uint8]
SMALL = {"kind": "residual", "members": 2, "channels": 4, "depth": 1}


def record(folder: pathlib.Path, circuit: stim.Circuit, events: Packed, flips: Packed) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    circuit.to_file(folder / "circuit.stim")
    events.tofile(folder / "detection_events.b8")
    flips.tofile(folder / "obs_flips_actual.b8")


@functools.cache
def shots_of(shots: int, p: float = 0.005) -> tuple[stim.Circuit, Packed, Packed]:
    circuit = circuit_of(p=p)
    return (circuit, *NumberedShots(circuit, seed=3).take(0, shots))


@pytest.fixture
def data(tmp_path: pathlib.Path) -> pathlib.Path:
    """3,000 shots of a device whose noise is as its circuit says."""
    record(tmp_path / "data", *shots_of(3_000))
    return tmp_path / "data"


@pytest.fixture
def start(tmp_path: pathlib.Path) -> pathlib.Path:
    write_decoder(tmp_path / "start.safetensors", trained("residual"))
    return tmp_path / "start.safetensors"


def config(folder: pathlib.Path, beginning: pathlib.Path | None, **others: Any) -> TrainingConfig:
    recipe = {"folder": folder, "passes": 2, **others.pop("data", {})}
    begun: dict[str, Any] = {"network": SMALL if beginning is None else {}}
    if beginning is not None:
        begun["start"] = str(beginning)
    return TrainingConfig.model_validate(
        {"batch": 64, "device": "cpu", "threads": 1, **begun, **others, "data": recipe}
    )


def weights(found: Trained) -> dict[str, torch.Tensor]:
    return found.network.state_dict()


def same(one: Trained, other: Trained) -> bool:
    told = [[judged.model_dump(exclude={"seconds"}) for judged in found.judgements]
            for found in (one, other)]  # fmt: skip
    alike = all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())
    return alike and told[0] == told[1] and one.fine_tuning == other.fine_tuning


@pytest.mark.parametrize("drawn", [0.0, 0.4])
def test_stopped_and_gone_on_with_gives_the_same(
    tmp_path: pathlib.Path, data: pathlib.Path, start: pathlib.Path, drawn: float
) -> None:
    given = config(data, start, data={"drawn": drawn})
    whole = train(given, tmp_path / "whole")
    assert whole.fine_tuning is not None
    for step in (1, 4, 15):
        cut = train(given, tmp_path / "parts", until=step)
        assert (cut.step, cut.fine_tuning) == (step, None)
    assert same(train(given, tmp_path / "parts"), whole)
    assert same(train(given, tmp_path / "parts"), whole)  # it has ended
    other = train(given.model_copy(update={"seed": 2}), tmp_path / "other")
    assert not same(other, whole)


@pytest.mark.parametrize("broken", ["_averaged", "judged", "batch", "loss"])
def test_stopped_amid_anything_it_goes_on_to_the_same(
    tmp_path: pathlib.Path, data: pathlib.Path, start: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch, broken: str,
) -> None:  # fmt: skip
    given = config(data, start)
    whole = train(given, tmp_path / "whole")
    owner = {"_averaged": TrainingState, "batch": RecordedLessons}.get(broken, HeldOut)
    train(given, tmp_path / "parts", until=len(passes(given)[0]) - 1)
    calls = 0

    def stop(*_: object) -> None:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, broken, stop)
        with pytest.raises(KeyboardInterrupt):
            train(given, tmp_path / "parts")
    assert calls
    assert same(train(given, tmp_path / "parts"), whole)


def passes(given: TrainingConfig) -> list[list[Any]]:
    lessons = lessons_of(given)
    assert isinstance(lessons, RecordedLessons)
    return [lessons._pass(number) for number in range(2)]


def test_other_shots_in_the_folder_are_not_gone_on_with(
    tmp_path: pathlib.Path, data: pathlib.Path, start: pathlib.Path
) -> None:
    given = config(data, start)
    train(given, tmp_path / "run", until=2)
    circuit, events, flips = shots_of(3_000)
    record(data, circuit, events[::-1], flips[::-1])
    with pytest.raises(ValueError, match="take a new folder"):
        train(given, tmp_path / "run")


def test_parts_share_no_shot_and_leave_none_out() -> None:
    recipe = RecordedRecipe(folder=pathlib.Path("anywhere"))
    parts = Parts.of(10_001, recipe, [1, 0, 0])
    assert [len(part) for part in parts] == [6_001, 1_500, 2_500]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(10_001))
    again, other = (Parts.of(10_001, recipe, [seed, 0, 0]) for seed in (1, 2))
    np.testing.assert_array_equal(again.judging, parts.judging)
    assert len(np.intersect1d(other.judging, parts.judging)) < 750  # 625 by chance, 6 deviations


def test_a_pass_has_each_open_shot_of_training_once_and_no_other(
    data: pathlib.Path, start: pathlib.Path
) -> None:
    given = config(data, start)
    lessons = lessons_of(given)
    assert isinstance(lessons, RecordedLessons)
    shots = [np.concatenate([some for _, some in one]) for one in passes(given)]
    for one in shots:
        assert len(np.unique(one)) == len(one)
        assert np.isin(one, lessons.parts[0].training).all()
    assert (shots[0] != shots[1]).any()
    left = len(lessons._open_shots()[0]) - len(shots[0])
    assert 0 <= left < given.batch
    assert len(lessons.batch(0)["kept"]) <= given.batch


def test_what_judges_changes_nothing_and_what_selects_no_step(
    tmp_path: pathlib.Path, data: pathlib.Path, start: pathlib.Path
) -> None:
    """Events and flips of the other parts are made nonsense of."""
    given = config(data, start)
    (parts,) = parts_of(given)
    whole = train(given, tmp_path / "whole")
    circuit, events, flips = shots_of(3_000)
    found = {}
    for name in ("judging", "selecting"):
        shots = getattr(parts, name)
        nonsense, wrong = events.copy(), flips.copy()
        nonsense[shots], wrong[shots] = np.roll(events[shots], 1, axis=0), 1 - flips[shots]
        record(tmp_path / name, circuit, nonsense, wrong)
        found[name] = train(config(tmp_path / name, start), tmp_path / f"of {name}")
    judged = found["judging"]
    assert all(torch.equal(value, weights(judged)[name]) for name, value in weights(whole).items())
    assert judged.judgements[-1].held_out_loss == whole.judgements[-1].held_out_loss
    assert judged.fine_tuning is not None
    assert whole.fine_tuning is not None
    assert judged.fine_tuning.errors[OURS] > 2 * whole.fine_tuning.errors[OURS]
    losses = [[one.loss for one in each.judgements] for each in (whole, found["selecting"])]
    assert losses[0] == losses[1][: len(losses[0])] or losses[0][: len(losses[1])] == losses[1]


def parts_of(given: TrainingConfig) -> list[Parts]:
    lessons = lessons_of(given)
    assert isinstance(lessons, RecordedLessons)
    return lessons.parts


def test_it_learns_what_the_error_model_lacks_and_says_so(
    tmp_path: pathlib.Path, start: pathlib.Path
) -> None:
    """On this device the observable is flipped wherever the first detector fires."""
    circuit, events, flips = shots_of(20_000, 0.01)
    record(tmp_path / "data", circuit, events, flips ^ (events[:, :1] & np.uint8(1)))
    given = config(tmp_path / "data", start, data={"passes": 4}, optimiser={"rate": 0.02})
    found = train(given, tmp_path / "run")
    assert found.fine_tuning is not None
    assert found.fine_tuning.paired(START).p_value < 1e-4
    assert found.fine_tuning.is_better
    header = write_decoder(tmp_path / "better.safetensors", found)
    assert read_header(tmp_path / "better.safetensors") == header
    assert "\nSignificantly better than its start: 0." in model_card(header)
    (problem,) = found.lessons.problems
    compiled = TrainedDecoder(tmp_path / "better.safetensors").compile_decoder_for_dem(
        dem=problem.model
    )
    lessons = found.lessons
    assert isinstance(lessons, RecordedLessons)
    judged = lessons.part(0, "judging")
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=judged.events)
    assert int((answers != judged.flips).any(axis=1).sum()) == found.fine_tuning.errors[OURS]


def test_where_there_is_nothing_to_learn_it_stops_and_keeps_the_start(
    tmp_path: pathlib.Path, data: pathlib.Path, start: pathlib.Path
) -> None:
    """At such a rate every pass makes it worse."""
    given = config(
        data, start, data={"passes": 50, "patience": 2, "priors": "circuit"},
        optimiser={"rate": 1.0, "average": 0.0}, network={"thorough": False},
    )  # fmt: skip
    found = train(given, tmp_path / "run")
    assert len(found.judgements) == 3
    begun = trained("residual").network.state_dict()
    assert all(torch.equal(value, begun[name]) for name, value in weights(found).items())
    tuning = found.fine_tuning
    assert tuning is not None
    assert (tuning.step, tuning.is_better) == (0, False)
    assert tuning.errors[OURS] == tuning.errors[START]
    assert set(tuning.errors) == {"pymatching-correlated", START, OURS}  # one error model
    header = write_decoder(tmp_path / "same.safetensors", found)
    assert "\nNOT significantly better than its start (p < 0.01): 1.000" in model_card(header)


def test_without_a_start_it_begins_as_the_ensemble(
    tmp_path: pathlib.Path, data: pathlib.Path
) -> None:
    found = train(config(data, None, data={"passes": 1}), tmp_path / "run")
    assert found.fine_tuning is not None
    assert found.fine_tuning.start is None
    assert found.fine_tuning.errors["pymatching-correlated, as given"] > 0


def test_a_start_goes_on_with_shots_that_are_drawn(
    tmp_path: pathlib.Path, start: pathlib.Path
) -> None:
    given = TrainingConfig.model_validate({
        "code": {"name": "rotated-surface", "distance": 3, "basis": "X"},
        "noise": {"kind": "depolarizing", "p": 0.008}, "start": str(start), "workers": 0,
        "examples": 128, "batch": 64, "held_out": {"shots": 2_000}, "device": "cpu", "threads": 1,
    })  # fmt: skip
    assert given.network == trained("residual").config.network
    assert given.optimiser.rate < trained("residual").config.optimiser.rate
    found = train(given, tmp_path / "run")
    assert found.fine_tuning is None
    circuit = circuit_of(p=0.008)
    events, flips = NumberedShots(circuit, seed=1).take(0, 2_000)
    compiled = TrainedDecoder(start).compile_decoder_for_dem(dem=model_of(circuit))
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
    assert found.judgements[0].errors[OURS] == int((answers != flips).sum())


def test_what_is_not_used_leaves_no_trace() -> None:
    """So that states and files of other trainings stay what they were."""
    told = trained("residual").config.model_dump(mode="json")
    assert not {"data", "start"} & set(told)
    assert "thorough" not in told["network"]


def test_what_cannot_be_learnt_from_is_refused(
    tmp_path: pathlib.Path, data: pathlib.Path, start: pathlib.Path
) -> None:
    circuit, events, flips = shots_of(3_000)
    few = config(data, start, batch=1_801)
    with pytest.raises(ValueError, match=r"1,800 training, 450 selecting, .* a batch of 1801"):
        lessons_of(few)
    open_shots = config(data, start, batch=1_800)
    with pytest.raises(ValueError, match=r"1,800 shots to train on matching leaves .* 1800: rec"):
        train(open_shots, tmp_path / "few")
    record(tmp_path / "silent", circuit, events, 0 * flips)
    with pytest.raises(ValueError, match="no observable flips in 3,000 shots"):
        lessons_of(config(tmp_path / "silent", start))
    record(tmp_path / "ideal", circuit.without_noise(), events, flips)
    with pytest.raises(ValueError, match="the circuit has no noise"):
        lessons_of(config(tmp_path / "ideal", start))
    other = circuit_of("repetition", basis="Z")
    record(tmp_path / "other", other, *NumberedShots(other, seed=1).take(0, 1_000))
    with pytest.raises(ValueError, match=r"start.safetensors, a residual .* cannot take this circ"):
        lessons_of(config(tmp_path / "other", start))
    with pytest.raises(ValueError, match=r"leave `network` out"):
        train(config(data, start, network={"channels": 5}), tmp_path / "wide")
    assert not (tmp_path / "wide" / STATE).exists()


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"noise": {"kind": "depolarizing", "p": 0.01}}, "takes no code, circuits or noise"),
        ({"network": {"kind": "pre-decoder"}}, "not a pre-decoder"),
        ({"readout": {"separation": 4.0}}, r"take \[readout\] away"),
        ({"held_out": {"shots": 10}}, r"\[held_out\] is of shots that are drawn"),
        ({"data": {"selecting": 0.5, "judging": 0.5}}, "leave a tenth of the shots"),
        ({"start": "nowhere.safetensors"}, "no such file"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(
    data: pathlib.Path, start: pathlib.Path, others: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        config(data, start, **others)
