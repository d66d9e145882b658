"""What decoders believe of recorded shots: the circuit's own noise, or a model that came along."""

from __future__ import annotations

import pathlib

import stim

from decoders.dem import (
    CheckedModel,
    ErrorModelKind,
    checked_model,
    require_colors,
    require_graphlike,
)
from decoders.files import read_error_model
from decoders.published.folder import Experiment

CIRCUIT = "circuit"
"""The name of the noisy circuit's own error model."""


def model_files_of(experiment: Experiment, name: str) -> tuple[pathlib.Path, ...]:
    """The files of a named error model: one, or that for even and that for odd shots."""
    if name not in experiment.error_models:
        known = ", ".join([CIRCUIT, *experiment.error_models])
        raise ValueError(f"{experiment.folder}: has no error model `{name}`; it has {known}")
    return experiment.error_models[name]


def models_of(
    experiment: Experiment, circuit: stim.Circuit, name: str
) -> list[stim.DetectorErrorModel | None]:
    """The named error model: one, or one for even and one for odd shots; None: the circuit's."""
    if name != CIRCUIT:
        return [read_error_model(path) for path in model_files_of(experiment, name)]
    if circuit == circuit.without_noise():
        others = ", ".join(experiment.error_models) or "none: add a .dem file"
        raise ValueError(
            f"{experiment.circuit}: has no noise, so it is no error model for a decoder; choose "
            f"another as data.error_models: {others}"
        )
    return [None]


def answers_model(circuit: stim.Circuit) -> stim.DetectorErrorModel:
    """For a decoder whose answers are known: no error, but as many detectors and observables."""
    return stim.DetectorErrorModel(
        f"detector D{circuit.num_detectors - 1}\nlogical_observable L{circuit.num_observables - 1}"
    )


def believed_model(
    kind: ErrorModelKind, circuit: stim.Circuit, given: stim.DetectorErrorModel | None
) -> CheckedModel:
    """The error model as a decoder of that kind can take it, checked against the circuit.

    A noiseless circuit tells no more than how many detectors and observables there are.
    """
    if given is None or circuit != circuit.without_noise():
        return checked_model(kind, circuit, given)
    for what, expected, got in (
        ("detectors", circuit.num_detectors, given.num_detectors),
        ("observables", circuit.num_observables, given.num_observables),
    ):
        if expected != got:
            raise ValueError(f"the error model has {got} {what}, the circuit has {expected}")
    if kind == "graphlike":
        require_graphlike(given)
    if kind == "color":
        require_colors(given)
    return CheckedModel(given)
