"""Agents that steer a running code, as algorithms of stable-baselines3."""

from envs.agents.steerers.evolution import Evolution
from envs.agents.steerers.learnt import Learnt
from envs.agents.steerers.local_credit import LocalCredit
from envs.agents.steerers.references import Calibration, Oracle
from envs.agents.steerers.registry import AnySteerer, make_steerer
from envs.agents.steerers.spsa import SPSA
from envs.agents.steerers.steerer import SettingsPolicy, Steerer
from envs.agents.steerers.tracker import Tracker

__all__ = [
    "SPSA",
    "AnySteerer",
    "Calibration",
    "Evolution",
    "Learnt",
    "LocalCredit",
    "Oracle",
    "SettingsPolicy",
    "Steerer",
    "Tracker",
    "make_steerer",
]
