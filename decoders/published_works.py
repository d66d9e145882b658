"""What a sweep over recorded shots decodes: experiments, error models, decoders, known answers."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterator, Sequence

from decoders.baselines import ResolvedDecoder
from decoders.collect import Work
from decoders.counts_file import read_rows
from decoders.dem import CheckedModel, ErrorModelKind
from decoders.evaluate_config import DataRecipe
from decoders.points import Point, model_for
from decoders.published import (
    CIRCUIT,
    PUBLISHED,
    Experiment,
    RecordedShots,
    answers_model,
    chosen_answers,
    chosen_experiments,
    circuit_of,
    find_experiments,
    models_of,
    open_shots,
)
from decoders.sampling import Panelist


def recorded_works(
    data: DataRecipe, decoders: Sequence[ResolvedDecoder]
) -> Iterator[tuple[Point, Work]]:
    """Each experiment with each error model and decoder, and with each published decoder.

    A decoder with a model that came along is called NAME@MODEL. Works take all shots there are.
    """
    experiments = chosen_experiments(data)
    answers = chosen_answers(data, experiments)
    for experiment in experiments:
        point = recorded_point(experiment)
        for name in dict.fromkeys(data.error_models):
            models = models_of(experiment, point.circuit, name)
            checked: dict[ErrorModelKind, list[CheckedModel]] = {}
            for decoder in {one.name: one for one in decoders}.values():
                kind = decoder.error_model
                if kind not in checked:
                    checked[kind] = [model_for(decoder, point, model) for model in models]
                yield point, _believing(point, decoder, name, checked[kind])
        for name in answers:
            if name in experiment.predictions:
                yield point, _answered(point, name)


def check_same_files(csv_path: pathlib.Path, works: Sequence[Work], seed: int) -> None:
    """Refuses a CSV of counts that were made on other files than the data set's are now."""
    now = {work.task(seed).strong_id() for work in works}
    for row in read_rows(csv_path) if csv_path.exists() else []:
        if row.strong_id not in now:
            raise ValueError(
                f"{csv_path}: {row.decoder} was counted on other files of "
                f"{row.json_metadata.get('experiment')}, or with another error model, than there "
                "are now: put these back, or begin anew with another --out"
            )


def recorded_point(experiment: Experiment) -> Point:
    """An experiment's circuit and its shots, checked."""
    circuit = circuit_of(experiment)
    return Point(
        circuit=circuit,
        source=str(experiment.folder),
        code=experiment.code,
        distance=experiment.distance,
        rounds=experiment.rounds,
        basis=experiment.basis,
        noise={},
        recorded=open_shots(experiment, circuit),
    )


def _believing(
    point: Point, decoder: ResolvedDecoder, name: str, checked: Sequence[CheckedModel]
) -> Work:
    """All shots of a recorded point for a decoder, with one model or with two by turns."""
    assert point.recorded is not None  # asked by the caller
    label = decoder.name if name == CIRCUIT else f"{decoder.name}@{name}"
    odd = checked[1].error_model if len(checked) > 1 else None
    told = {}
    if odd is not None:  # the other model is part of sinter's own id
        told["odd_model"] = hashlib.sha256(str(odd).encode()).hexdigest()[:16]
    return Work(
        circuit=point.circuit,
        error_model=checked[0].error_model,
        panel=(Panelist(label, decoder.spec),),
        metadata=point.metadata() | told,
        max_shots=point.recorded.shots,
        note="; ".join(dict.fromkeys(one.message for one in checked if one.message)) or None,
        recorded=dataclasses.replace(point.recorded, odd_model=odd),
    )


def only_experiment(folder: pathlib.Path) -> Experiment:
    """The experiment in a folder; ValueError if there are several."""
    found = find_experiments(folder)
    if len(found) > 1:
        raise ValueError(
            f"{folder}: expected one experiment, got {len(found)}: give the folder of one, such as "
            f"{found[0].folder}"
        )
    return found[0]


def published_panel(shots: RecordedShots) -> tuple[Panelist, ...]:
    """All decoders whose answers come with the shots."""
    return tuple(Panelist(PUBLISHED + name, PUBLISHED + name) for name in shots.answers)


def answers_metadata(shots: RecordedShots) -> dict[str, str]:
    """What tells the files of answers from others."""
    digests = "".join(answers.digest() for answers in shots.answers.values())
    return {"answers": hashlib.sha256(digests.encode()).hexdigest()[:16]} if digests else {}


def _answered(point: Point, name: str) -> Work:
    """All shots of a recorded point for a decoder whose answers come with them."""
    assert point.recorded is not None  # asked by the caller
    one = dataclasses.replace(point.recorded, answers={name: point.recorded.answers[name]})
    return Work(
        circuit=point.circuit,
        error_model=answers_model(point.circuit),
        panel=published_panel(one),
        metadata=point.metadata() | answers_metadata(one),
        max_shots=point.recorded.shots,
        recorded=one,
    )
