"""The graph of experiments with which a laboratory brings up and keeps a device."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from calib.experiments.cr_tomography import cr_tomography
from calib.experiments.cz_amplitude import cz_amplitude
from calib.experiments.cz_leakage import cz_leakage
from calib.experiments.cz_phases import cz_phases
from calib.experiments.drag import rough_drag
from calib.experiments.ecr_fine import fine_ecr
from calib.experiments.fine import fine_amplitude, fine_drag, half_angle
from calib.experiments.rabi import rabi
from calib.experiments.ramsey import fine_frequency, ramsey
from calib.experiments.readout import readout_discrimination
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
    day = 24 * _HOUR_S
    return (
        Node(readout_discrimination(), (), 2 * _HOUR_S, verify=False),
        Node(spectroscopy(), ("readout_discrimination",), 7 * day, verify=False),
        Node(rabi(), ("spectroscopy",), 7 * day, verify=False),
        Node(ramsey(), ("rabi",), day, verify=False),
        Node(rough_drag("x"), ("ramsey",), 7 * day, verify=False),
        Node(rough_drag("sx"), ("ramsey",), 7 * day, verify=False),
        Node(fine_frequency(), ("rough_drag_x", "rough_drag_sx"), 0.5 * _HOUR_S),
        Node(half_angle(), ("fine_frequency",), day),
        Node(fine_drag("x"), ("half_angle",), 6 * _HOUR_S),
        Node(fine_drag("sx"), ("half_angle",), 6 * _HOUR_S),
        Node(fine_amplitude("x"), ("fine_drag_x",), _HOUR_S),
        Node(fine_amplitude("sx"), ("fine_drag_sx",), _HOUR_S),
    )


def _cz_nodes() -> tuple[Node, ...]:
    day = 24 * _HOUR_S
    coarse = cz_amplitude(span=0.1, points=21, repetitions=(1,), tolerance_rad=0.1)
    return (
        Node(replace(coarse, name="cz_resonance"), ("fine_amplitude_x", "fine_amplitude_sx"),
             7 * day, verify=False),
        Node(replace(cz_leakage(), name="cz_cycle"), ("cz_resonance",), 7 * day, verify=False),
        Node(cz_leakage(span_ns=3.0, tolerance=6e-5), ("cz_cycle",), 6 * _HOUR_S),
        Node(cz_amplitude(tolerance_rad=0.008), ("cz_leakage",), 0.5 * _HOUR_S),
        Node(cz_phases(tolerance_rad=0.006), ("cz_leakage", "cz_amplitude"), 0.5 * _HOUR_S),
    )  # fmt: skip


def _ecr_nodes() -> tuple[Node, ...]:
    one_qubit = ("fine_amplitude_x", "fine_amplitude_sx")
    return (
        Node(cr_tomography(), one_qubit, 6 * _HOUR_S),
        Node(fine_ecr(), ("cr_tomography",), _HOUR_S),
    )
