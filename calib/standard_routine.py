"""The graph of experiments with which a laboratory brings up and keeps a device."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from calib.experiments.axis import axis
from calib.experiments.cr_tomography import cr_tomography
from calib.experiments.cz_amplitude import cz_amplitude
from calib.experiments.cz_leakage import cz_leakage
from calib.experiments.cz_phases import cz_phases
from calib.experiments.drag import rough_drag
from calib.experiments.ecr_fine import fine_ecr
from calib.experiments.fine import fine_amplitude, fine_drag, half_angle
from calib.experiments.rabi import rabi
from calib.experiments.ramsey import fine_frequency, ramsey
from calib.experiments.readout import readout_discrimination, readout_tone
from calib.experiments.spectroscopy import spectroscopy
from calib.routine import Node

_HOUR_S = 3600.0


def standard_nodes(entangler: Literal["cz", "ecr"]) -> tuple[Node, ...]:
    """Readout, frequency, the one-qubit pulses from coarse to fine, and then the pairs' gate.

    >>> [node.name for node in standard_nodes("cz")][:4]
    ['readout_discrimination', 'spectroscopy', 'rabi', 'ramsey']
    """
    pairs = {"cz": _cz_nodes, "ecr": _ecr_nodes}
    return (*_one_qubit_nodes(), *pairs[entangler]())


def _one_qubit_nodes() -> tuple[Node, ...]:
    return (*_coarse_nodes(), *_readout_nodes(), *_fine_nodes())


def _coarse_nodes() -> tuple[Node, ...]:
    week = 7 * 24 * _HOUR_S
    return (
        Node(readout_discrimination(), (), week, verify=False),
        Node(spectroscopy(), ("readout_discrimination",), week, verify=False),
        Node(rabi(tolerance_rad=0.03), ("spectroscopy",), week, verify=False),
        Node(ramsey(), ("rabi",), 24 * _HOUR_S, verify=False),
        Node(rough_drag("x"), ("ramsey",), week, verify=False),
        Node(rough_drag("sx"), ("ramsey",), week, verify=False),
        Node(axis(), ("rough_drag_x", "rough_drag_sx"), week, verify=False),
    )


def _readout_nodes() -> tuple[Node, ...]:
    """The tone, which needs an X to compare |0⟩ and |1⟩, and then the line for it."""
    day = 24 * _HOUR_S
    last = replace(readout_discrimination(), name="readout_line")
    frequency = readout_tone("frequency_ghz", points=9, tolerance=5e-4)
    amplitude = readout_tone("amplitude", points=9, tolerance=4e-4, shots=4000)
    return (
        Node(frequency, ("axis",), day, verify=False),
        Node(amplitude, ("readout_frequency_ghz",), day, verify=False),
        Node(last, ("readout_amplitude",), 2 * _HOUR_S, verify=False),
    )


def _fine_nodes() -> tuple[Node, ...]:
    """DRAG and amplitude before the axis, which they move; DRAG is looked at again at the end."""
    last = replace(fine_drag("x"), name="fine_drag_x_again")
    return (
        Node(fine_frequency(), ("readout_line",), 0.5 * _HOUR_S),
        Node(fine_drag("x"), ("fine_frequency",), 6 * _HOUR_S),
        Node(fine_drag("sx"), ("fine_frequency",), 6 * _HOUR_S),
        Node(fine_amplitude("x"), ("fine_drag_x",), _HOUR_S),
        Node(fine_amplitude("sx"), ("fine_drag_sx",), _HOUR_S),
        Node(last, ("fine_amplitude_x", "fine_amplitude_sx"), 6 * _HOUR_S),
        Node(half_angle(), ("fine_drag_x_again",), 6 * _HOUR_S),
    )


def _cz_nodes() -> tuple[Node, ...]:
    day = 24 * _HOUR_S
    leakage = cz_leakage(span_ns=3.0, points=9, shots=4000, tolerance=6e-5)
    coarse = cz_amplitude(span=0.1, points=21, repetitions=(1,), tolerance_rad=0.1)
    return (
        Node(replace(coarse, name="cz_resonance"), ("half_angle",),
             7 * day, verify=False),
        Node(replace(cz_leakage(), name="cz_cycle"), ("cz_resonance",), 7 * day, verify=False),
        Node(leakage, ("cz_cycle",), 6 * _HOUR_S),
        Node(cz_amplitude(tolerance_rad=0.008), ("cz_leakage",), 0.5 * _HOUR_S),
        Node(cz_phases(tolerance_rad=0.006), ("cz_leakage", "cz_amplitude"), 0.5 * _HOUR_S),
    )  # fmt: skip


def _ecr_nodes() -> tuple[Node, ...]:
    return (
        Node(cr_tomography(), ("half_angle",), 6 * _HOUR_S),
        Node(fine_ecr(), ("cr_tomography",), _HOUR_S),
    )
