"""Agents that steer a running code, as algorithms of stable-baselines3."""

from envs.agents.steerers.local_credit import LocalCredit
from envs.agents.steerers.spsa import SPSA
from envs.agents.steerers.steerer import SettingsPolicy, Steerer
from envs.agents.steerers.tracker import Tracker

__all__ = ["SPSA", "LocalCredit", "SettingsPolicy", "Steerer", "Tracker"]
