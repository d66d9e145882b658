"""Orders that make no sense are refused with what was expected."""

from typing import Any

import pytest
from qiskit.circuit import QuantumCircuit

from calib.runtime import Order, RunOptions
from tests.calib.runtime.scripted import circuits


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"measured": "analog"}, "measured must be bits, soft or both, got 'analog'"),
        ({"mode": "dedicated"}, "mode must be job, batch or session, got 'dedicated'"),
        ({"rep_delay_us": -1.0}, "rep_delay_us must not be negative, got -1.0"),
        ({"max_seconds": 0}, "max_seconds must be at least 1, got 0"),
        ({"measured": "soft", "twirl_measure": True}, "IQ values cannot be twirled"),
    ],
)
def test_options(options: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        RunOptions(**options)


def test_orders():
    made = tuple(circuits(2))
    assert Order("tag", "device", made, 50).executions == 100
    for arguments, says in (
        (("", "device", made, 1), "needs a tag"),
        (("tag", "device", made, 0), "at least 1 shot, got 0"),
        (("tag", "device", (), 1), "at least one circuit"),
        (("tag", "device", (QuantumCircuit(1),), 1), "circuit 0 of an order has no classical bits"),
    ):
        with pytest.raises(ValueError, match=says):
            Order(*arguments)
