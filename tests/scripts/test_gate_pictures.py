"""Titles of the pictures of a calibration: what is wrong is said by name."""

from calib.judge import GateError
from scripts.report.gate_pictures import gates_title


def error(gate: str, qubits: tuple[int, ...], ratio: float) -> GateError:
    return GateError(gate, qubits, 1e-3 * ratio, 1e-3, 0.0, (1.0, 0.0, 0.0, 0.0))


def test_the_title_is_good_news_only_where_there_is_some():
    near = [error("x", (0,), 1.05), error("cz", (1, 0), 1.172)]
    assert gates_title(near, ()) == "Every gate is within 1.17 times its coherence limit"
    far = [*near, error("sx", (1,), 328.0), error("x", (1,), 2.5)]
    assert gates_title(far, {("rabi", (1,))}) == (
        "2 of 4 gates are not near the coherence limit: sx on q1 is at 328.0 times its own. "
        "Not within tolerance: rabi on q1"
    )
    failed = {("rabi", (1,)), ("cz_phase", (1, 0)), ("rabi", (0,))}
    assert gates_title(near, failed).endswith("Not within tolerance: cz_phase on q1-q0 and 2 more")
