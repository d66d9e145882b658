"""Recorded shots: published data sets of surface-code experiments, and folders of one's own."""

from decoders.published.choice import chosen_answers, chosen_experiments
from decoders.published.folder import Experiment, find_experiments
from decoders.published.models import CIRCUIT, answers_model, believed_model, models_of
from decoders.published.recorded import (
    PUBLISHED,
    RecordedShots,
    check_events,
    circuit_of,
    open_shots,
    read_soft,
)
from decoders.published.shot_file import ShotFile

__all__ = [
    "CIRCUIT",
    "PUBLISHED",
    "Experiment",
    "RecordedShots",
    "ShotFile",
    "answers_model",
    "believed_model",
    "check_events",
    "chosen_answers",
    "chosen_experiments",
    "circuit_of",
    "find_experiments",
    "models_of",
    "open_shots",
    "read_soft",
]
