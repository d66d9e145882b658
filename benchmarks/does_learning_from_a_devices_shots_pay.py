"""Does it pay to train a neural decoder on with a device's own shots, beyond learnt priors?

    .venv/bin/python benchmarks/does_learning_from_a_devices_shots_pay.py [--quick]

Rotated surface codes of distance 3, 3 rounds. Decoders are given uniform depolarizing noise of
p = 0.004; on the device each rate of each qubit and pair is that times a factor of its own,
log-normal with 0.6. With cross-talk it has XX and ZZ on six in ten pairs of neighbouring data
qubits, too, before each round's measurement, which no error model that is given or learnt has: of
0.002 or 0.006 times such a factor. The device gives 100,000 shots with flips. Priors are learnt
from their events (those of the fine-tuned one from its 60,000 of training alone), and the network
that comes with syndrift goes on with them, as `start = "neural"` and `[data]` have it. Errors are
on other shots, the same for all; the decoders that know the device have its cross-talk, too.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import time
from typing import NamedTuple

import numpy as np
import sinter
import stim
from does_tuning_priors_pay import GIVEN, SPREAD, crossed, uneven
from numpy.typing import NDArray

from calib.threads import one_thread
from decoders.baselines import BASELINES
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.learnt_priors import learnt_model
from decoders.neural.problem import Problem
from decoders.neural.training import Trained, train
from decoders.neural.training_config import TrainingConfig
from decoders.noise import Depolarizing
from decoders.paired import Paired
from decoders.shots import Bits, NumberedShots
from scripts.run_folder import machine
from scripts.table import aligned

SEED, DEVICE, TRAINING = 9951, 9911, 1
CROSSTALK = (0.0, 0.002, 0.006)
RECORDED, SHOTS, PASSES = 100_000, 200_000, 4

Wrong = NDArray[np.bool_]


class Models(NamedTuple):
    """What decoders believe of a device; `full` has its errors of more than two detectors."""

    given: stim.DetectorErrorModel
    learnt: stim.DetectorErrorModel
    true: stim.DetectorErrorModel
    full: stim.DetectorErrorModel


def device_of(crosstalk: float) -> tuple[stim.Circuit, stim.Circuit]:
    """The circuit that is given, and that of the device."""
    rng = np.random.default_rng(DEVICE)
    circuit = memory_circuit("rotated-surface", distance=3, rounds=3, basis="Z")
    truth = uneven(circuit, rng).flattened()
    given = Depolarizing(kind="depolarizing", p=GIVEN).apply(circuit)
    return given, crossed(truth, rng, crosstalk) if crosstalk else truth


def fine_tuned(given: stim.Circuit, events: Bits, flips: Bits, passes: int) -> Trained:
    """From recorded shots, packed."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        given.to_file(folder / "circuit.stim")
        events.tofile(folder / "detection_events.b8")
        flips.tofile(folder / "obs_flips_actual.b8")
        config = TrainingConfig.model_validate({
            "start": "neural", "seed": TRAINING, "threads": 1, "device": "cpu",
            "data": {"folder": folder, "passes": passes},
        })  # fmt: skip
        return train(config, folder / "run")


def decoders_of(models: Models, tuned: Trained) -> dict[str, sinter.CompiledDecoder]:
    """All that are compared, by name; the second is what the others are held against."""
    matching = BASELINES["pymatching-correlated"].decoder
    start = tuned.lessons.start
    assert start is not None  # the recipe has one
    shipped, recipe, kinds = start.network(), start.header.config.network, tuned.lessons.kinds
    (problem,) = tuned.lessons.problems
    return {
        "correlated, as given": matching.compile_decoder_for_dem(dem=models.given),
        "correlated, learnt": matching.compile_decoder_for_dem(dem=models.learnt),
        "neural, as given": recipe.decoder(shipped, Problem.of(models.given, kinds)),
        "neural, learnt": recipe.decoder(shipped, Problem.of(models.learnt, kinds)),
        "neural, fine-tuned": tuned.config.network.decoder(tuned.network, problem),
        "correlated, true": matching.compile_decoder_for_dem(dem=models.true),
        "tesseract, true": BASELINES["tesseract"].decoder.compile_decoder_for_dem(dem=models.full),
    }


def rows_of(crosstalk: float, recorded: int, shots: int, passes: int) -> list[list[str]]:
    """One device; a row a decoder."""
    given, truth = device_of(crosstalk)
    events, flips = NumberedShots(truth, seed=SEED).take(0, recorded)
    seen = np.unpackbits(events, axis=1, count=truth.num_detectors, bitorder="little").astype(bool)
    model, true = (checked_model("graphlike", one).error_model for one in (given, truth))
    models = Models(model, learnt_model(model, seen).model, true, truth.detector_error_model())
    begun = time.process_time()
    tuned = fine_tuned(given, events, flips, passes)
    took = f"{time.process_time() - begun:.0f} s"
    assert tuned.fine_tuning is not None  # it has ended
    own = "yes" if tuned.fine_tuning.is_better else "no"
    others, answers = NumberedShots(truth, seed=SEED + 1).take(0, shots)
    wrong: dict[str, Wrong] = {
        name: (one.decode_shots_bit_packed(bit_packed_detection_event_data=others) != answers)
        .any(axis=1) for name, one in decoders_of(models, tuned).items()
    }  # fmt: skip
    return [
        [f"{crosstalk:g}", name, f"{int(mine.sum()):,}",
         *(_beside(mine, wrong[other]) if name != other else "-"
           for other in ("correlated, learnt", "neural, learnt")),
         *((own, took) if name == "neural, fine-tuned" else ("", ""))]
        for name, mine in wrong.items()
    ]  # fmt: skip


def _beside(mine: Wrong, other: Wrong) -> str:
    ratio, p_value = Paired.of(mine, other).words
    return f"{ratio}, p = {p_value}"


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="the strongest cross-talk alone")
    quick = parser.parse_args().quick
    print(f"{machine()['cpu']}; device {DEVICE} (factors of {SPREAD}), recorded with seed {SEED}, "
          f"trained with {TRAINING}, judged with {SEED + 1}\n")  # fmt: skip
    rows: list[list[str]] = []
    for crosstalk in CROSSTALK[-1:] if quick else CROSSTALK:
        rows += rows_of(crosstalk, *((20_000, 50_000, 2) if quick else (RECORDED, SHOTS, PASSES)))
    header = ["cross-talk", "decoder", "errors", "by correlated, learnt", "by neural, learnt",
              "better by its own judgement", "training took"]  # fmt: skip
    print(aligned(header, rows))


if __name__ == "__main__":
    main()
