"""What is steered: controls that drift, what they do to gates, and what detectors show of it."""

from envs.steered.analytic import Analytic
from envs.steered.experiment import Experiment
from envs.steered.memory import MemoryRecipe
from envs.steered.plant import LightCones, Plant
from envs.steered.pulses import Pulses

__all__ = ["Analytic", "Experiment", "LightCones", "MemoryRecipe", "Plant", "Pulses"]
