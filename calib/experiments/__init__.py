"""Calibration experiments: what one measures on a device to set its control parameters.

Each file holds an experiment with its analysis (or stands for one of qiskit-experiments), and a
function that makes a `Calibration` of it.
"""

from calib.experiments.axis import Axis, axis
from calib.experiments.benchmarking import (
    interleaved_benchmarking,
    randomized_benchmarking,
    readout_error,
)
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.coherence import t1, t2_hahn, t2_ramsey, zz
from calib.experiments.cr_tomography import CRTomography, cr_tomography
from calib.experiments.cz_amplitude import ConditionalPhase, cz_amplitude
from calib.experiments.cz_leakage import CZLeakage, cz_leakage
from calib.experiments.cz_phases import CZPhases, cz_phases
from calib.experiments.drag import RoughDrag, rough_drag
from calib.experiments.ecr_fine import FineECR, fine_ecr
from calib.experiments.fine import fine_amplitude, fine_drag, half_angle
from calib.experiments.rabi import Rabi, rabi
from calib.experiments.ramsey import fine_frequency, ramsey
from calib.experiments.readout import ReadoutExperiment, readout_discrimination, readout_tone
from calib.experiments.spectroscopy import Spectroscopy, spectroscopy

__all__ = [
    "Axis",
    "CRTomography",
    "CZLeakage",
    "CZPhases",
    "Calibration",
    "Conclusion",
    "ConditionalPhase",
    "Deviation",
    "FineECR",
    "Rabi",
    "ReadoutExperiment",
    "RoughDrag",
    "Spectroscopy",
    "axis",
    "cr_tomography",
    "cz_amplitude",
    "cz_leakage",
    "cz_phases",
    "fine_amplitude",
    "fine_drag",
    "fine_ecr",
    "fine_frequency",
    "half_angle",
    "interleaved_benchmarking",
    "rabi",
    "ramsey",
    "randomized_benchmarking",
    "readout_discrimination",
    "readout_error",
    "readout_tone",
    "rough_drag",
    "spectroscopy",
    "t1",
    "t2_hahn",
    "t2_ramsey",
    "zz",
]
