"""What the demo does, stage by stage: each is a verb with a recipe that can be run by itself."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Table = dict[str, Any]

_DRIFT = 9000.0  # seconds in which the device drifts away and back
_STEERED_S = 7200.0  # device time in which it is steered, however many epochs that are


@dataclass(frozen=True)
class Stage:
    """One verb: `folder` is its run's, `seconds` what it took where the demo was written.

    `recipe` is written to `recipes/FOLDER.toml`, whose path takes the place of RECIPE in
    `arguments`. `found` says in a line what its JSON says.
    """

    folder: str
    does: str
    arguments: tuple[str, ...]
    seconds: float
    found: Callable[[Mapping[str, Any]], str]
    recipe: Table | None = None


RECIPE = "RECIPE"


def stages(folder: pathlib.Path, seed: int, *, quick: bool) -> list[Stage]:
    """From a device that nobody has calibrated to what its errors cost; quick: all smaller."""
    distance = 2 if quick else 3
    device = _device(distance, seed)
    circuit, trained = folder / "steer" / "circuit-untouched.stim", folder / "train"
    shipped = [] if quick else ["neural"]  # which is made for distances 3, 5 and 7
    decoders = ["pymatching", "pymatching-correlated", "tesseract", *shipped]
    count = len(device["topology"]["places"])
    memory = ["fake_torino", "repetition:3"] if quick else ["fake_nighthawk", "surface:3"]
    sampled = "20000" if quick else "100000"
    return [
        Stage("calibrate", f"bringing {count} transmons up from a guess, pulse by pulse",
              ("calibrate", RECIPE, "--history", str(folder / "calibration.sqlite")),
              26 if quick else 75, _calibrated, {"title": "Bring-up", "device": device}),
        Stage("steer", "steering them while the code runs, and leaving them alone beside it",
              ("steer", RECIPE), 12 if quick else 50, _steered,
              _steering(folder, device, distance, seed, 16 if quick else 60)),
        Stage("train", "training a decoder for the device as it has drifted",
              ("train", RECIPE), 5 if quick else 25, _trained,
              _training(circuit, seed, 2_048 if quick else 65_536)),
        Stage("compare", "decoding the same shots by each decoder",
              ("compare", "--circuit", str(circuit), "--shots", sampled, "--seed", str(seed),
               "--decoders", ",".join([*decoders, str(trained / "decoder.safetensors")])),
              4 if quick else 12, _compared),
        Stage("budget", "asking which mechanism costs how much",
              ("budget", str(circuit), "--shots", sampled, "--seed", str(seed)),
              4 if quick else 10, _budgeted),
        Stage("deploy", f"running {memory[1]} on {memory[0]}",
              ("deploy", "--backend", memory[0], "--memory", memory[1], "--submit", "--seed",
               str(seed), "--ledger", str(folder / "jobs.sqlite")),
              8 if quick else 14, _deployed),
    ]  # fmt: skip


def _device(distance: int, seed: int) -> Table:
    """The qubits of the patch on their square lattice, and how they drift."""
    from calib.device_config import DeviceConfig
    from decoders.native import in_cz
    from envs.steered.memory import MemoryRecipe
    from envs.steered.pulses import PulseRecipe

    memory = MemoryRecipe(distance=distance, rounds=3)
    recipe = PulseRecipe(device=DeviceConfig())
    graph = recipe.family(recipe.circuit(memory), []).topology.graph()
    places = in_cz(memory.noiseless()).get_final_qubit_coordinates()
    process = {"kind": "sinusoid", "period_s": _DRIFT, "random_phase": True}
    return {
        "name": "patch",
        "seed": seed,
        "timing": {"readout_ns": 500.0, "reset_ns": 100.0},
        "topology": {
            "kind": "couplings", "qubits": graph.qubits, "pairs": [list(p) for p in graph.pairs],
            "places": [places[qubit] for qubit in sorted(places)],
        },
        "drift": [
            {"process": process, "absolute": {"frequency_ghz": 1e-4}},
            {"process": process, "relative": {"flux_mhz": 2e-3, "coupling_mhz": 1e-2}},
        ],
    }  # fmt: skip


def _steering(folder: pathlib.Path, device: Table, distance: int, seed: int, epochs: int) -> Table:
    history = str(folder / "calibration.sqlite")
    return {
        "title": "The brought-up patch, steered",
        "seed": seed,
        "epochs": epochs,
        "checkpoint_every_epochs": 5,
        "environment": {
            "epoch_s": _STEERED_S / epochs,
            "bound": 10.0,  # the drift takes phases farther than the usual 5 units
            "memory": {"distance": distance, "rounds": 3},
            "plant": {"kind": "pulses", "history": history, "device": device},
        },
        "steerer": {"kind": "tracker"},
        "ler": {"every_epochs": 5, "shots": 20_000},
    }


def _training(circuit: pathlib.Path, seed: int, examples: int) -> Table:
    return {
        "title": "A decoder for this device",
        "seed": seed,
        "circuits": str(circuit),
        "examples": examples,
        "network": {"kind": "residual", "members": 4, "channels": 16, "depth": 2},
        "held_out": {"shots": 20_000, "every": max(1_024, examples // 8)},
    }


# What each stage found, in a line.


def _calibrated(found: Mapping[str, Any]) -> str:
    gates = found["gates"]
    before = sum(one["infidelity_at_start"] for one in gates) / len(gates)
    after = sum(one["infidelity"] for one in gates) / len(gates)
    worst = max(one["ratio"] for one in gates)
    return (f"mean infidelity of {len(gates)} gates {before:.2g} -> {after:.2g}, at most "
            f"{worst:.2f} times the coherence limit; {found['experiments']} experiments, "
            f"{found['device_time_s'] / 60:.0f} minutes of device time")  # fmt: skip


def _steered(found: Mapping[str, Any]) -> str:
    ler = found["steerers"]["steerer"]["ler"]
    said = {"untouched": "left alone", "steered": "steered", "best": "at best"}
    shown = [f"{ler[who]['ler']:.2e} {words}" for who, words in said.items()]
    return f"logical error rate a shot {', '.join(shown)}"


def _trained(found: Mapping[str, Any]) -> str:
    last = found["judgements"][-1]
    shown = [f"{name} {errors:,}" for name, errors in last["errors"].items()]
    return f"errors in {last['shots']:,} held-out shots: {', '.join(shown)}"


def _compared(found: Mapping[str, Any]) -> str:
    def name(spec: str) -> str:
        return "trained here" if spec.endswith(".safetensors") else spec

    shown = [f"{name(spec)} {one['errors']:,}" for spec, one in found["decoders"].items()]
    shots = max(one["shots"] for one in found["decoders"].values())
    return f"errors in {shots:,} shots: {', '.join(shown)}"


def _budgeted(found: Mapping[str, Any]) -> str:
    dearest = [f"{one['name']} {one['share'][0]:.0%}" for one in found["lines"][:3]]
    return f"shares of the logical error rate: {', '.join(dearest)}"


def _deployed(found: Mapping[str, Any]) -> str:
    (result,) = found["results"]
    one = result["decoders"]["pymatching-correlated"]
    shares = result["detection_fraction"]
    return (f"logical error rate {one['ler']:.2e}, predicted {one['predicted']:.2e}; detectors "
            f"fire in {shares['measured']:.4f} of all cases, predicted "
            f"{shares['predicted']:.4f}")  # fmt: skip
