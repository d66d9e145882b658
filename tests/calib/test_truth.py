"""The hidden physics: how it is drawn, what a config may say of it, and how it drifts."""

import math
from typing import Any

import numpy as np
import pytest

from calib.device_config import DeviceConfig, PairPhysics, QubitPhysics
from calib.drift import Deviation
from calib.readout import Resonator
from calib.truth import PAIR_PARAMETERS, QUBIT_PARAMETERS, Truth, draw_truth, resonator

TRIANGLE = {"kind": "couplings", "qubits": 3, "pairs": [[0, 1], [1, 2], [0, 2]]}


def drawn(seed: int = 5, /, **config: Any):
    """The truth of a config, from a generator of this seed."""
    return draw_truth(DeviceConfig.model_validate(config), np.random.default_rng(seed))


def test_it_holds_every_parameter_of_every_qubit_and_pair():
    truth, pairs = drawn(topology={"kind": "square", "rows": 2, "columns": 3})
    assert set(truth.qubit) == set(QubitPhysics.model_fields) - {"group_step_ghz"}
    assert set(truth.pair) == set(PairPhysics.model_fields)
    assert {values.shape for values in truth.qubit.values()} == {(6,)}
    assert {values.shape for values in truth.pair.values()} == {(7,)} == {(len(pairs),)}


def test_draws_are_repeatable_and_depend_on_the_seed():
    one, pairs = drawn(5)
    same, same_pairs = drawn(5)
    other, _ = drawn(6)
    assert pairs == same_pairs
    for name in QUBIT_PARAMETERS:
        assert one.qubit[name].tolist() == same.qubit[name].tolist()
        assert one.qubit[name].tolist() != other.qubit[name].tolist()
    for name in set(PAIR_PARAMETERS):
        assert one.pair[name].tolist() == same.pair[name].tolist()
        assert one.pair[name].tolist() != other.pair[name].tolist()


@pytest.mark.parametrize("group", ["qubit", "pair"])
def test_each_parameter_has_a_stream_of_its_own(group: str):
    """To move one mean and spread changes that parameter alone, and that as a straight line."""
    names = {"qubit": QUBIT_PARAMETERS, "pair": PAIR_PARAMETERS}[group]
    for name in names:
        spread = getattr(getattr(DeviceConfig(), group), name)
        mean, deviation = 1.01 * spread.mean + 1e-3, 1.5 * spread.deviation
        wider = {name: {"mean": mean, "deviation": deviation}}
        entangler = "ecr" if name.startswith("crosstalk") else "cz"
        level: dict[str, Any] = {"qubit": {"group_step_ghz": 0.0}, "entangler": entangler}
        before, _ = drawn(**level)
        after, _ = drawn(**level | {group: level.get(group, {}) | wider})
        for other in (*QUBIT_PARAMETERS, *PAIR_PARAMETERS):
            was, now = ((t.qubit if other in t.qubit else t.pair)[other] for t in (before, after))
            if other == name:
                # T2 is cut at twice T1, which none of these draws reaches.
                assert now - mean == pytest.approx(1.5 * (was - spread.mean), abs=1e-9)
            else:
                assert was.tolist() == now.tolist(), (name, other)


def test_spreads_are_normal_and_cut_at_three_deviations():
    """20,000 draws: their mean is off by 5 σ/√n, their deviation by 5 σ/√(2n), in 1 of 10^6."""
    n = 20_000
    topology = {"kind": "couplings", "qubits": n, "pairs": []}
    truth, pairs = drawn(topology=topology, qubit={"rabi_mhz": {"mean": 90.0, "deviation": 4.0}})
    standard = (truth.qubit["rabi_mhz"] - 90) / 4
    assert pairs == ()
    assert abs(standard.mean()) < 5 / math.sqrt(n)
    # Variance of a normal cut (not redrawn) at 3: 0.99730·E[z² | z<3] + 9·0.0027 = 0.99496.
    assert abs(standard.std() - math.sqrt(0.99496)) < 5 / math.sqrt(2 * n)
    assert abs(standard).max() == pytest.approx(3)
    # Chance that fewer than 20 of 20,000 are cut: Poisson(54) below 20, 3e-8.
    assert 20 <= np.isclose(abs(standard), 3).sum() <= 100


def test_a_number_stands_for_a_mean_without_deviation():
    table, _ = drawn(qubit={"t1_us": {"mean": 70, "deviation": 0.0}})
    number, _ = drawn(qubit={"t1_us": 70})
    assert number.qubit["t1_us"].tolist() == [70.0] * 5 == table.qubit["t1_us"].tolist()


def test_single_values_go_before_what_is_drawn():
    before, _ = drawn()
    pairs = {"3-2": {"zz_khz": 50.0, "flux_mhz": 380.0}, "0-1": {"zz_khz": 7.0}}
    after, _ = drawn(qubits={2: {"t1_us": 11.0, "frequency_ghz": 4.7}}, pairs=pairs)
    assert after.qubit["t1_us"][2] == 11.0
    assert after.qubit["frequency_ghz"][2] == 4.7
    assert after.pair["zz_khz"][[0, 2]].tolist() == [7.0, 50.0]
    assert after.pair["flux_mhz"][2] == 380.0
    for name in QUBIT_PARAMETERS:
        kept = [0, 1, 3, 4]
        assert after.qubit[name][kept].tolist() == before.qubit[name][kept].tolist()
    assert after.pair["zz_khz"][[1, 3]].tolist() == before.pair["zz_khz"][[1, 3]].tolist()


def test_coherence_is_at_most_twice_the_relaxation_time():
    truth, _ = drawn(qubit={"t1_us": 30, "t2_us": {"mean": 60, "deviation": 10}})
    assert truth.qubit["t2_us"].max() == 60.0
    assert truth.qubit["t2_us"].min() < 60.0
    assert drawn(qubits={1: {"t1_us": 5.0}})[0].qubit["t2_us"][1] == 10.0


def test_pairs_begin_with_the_upper_qubit():
    frequencies = (4.8, 5.0, 4.6)
    qubits = {q: {"frequency_ghz": f} for q, f in enumerate(frequencies)}
    _, pairs = drawn(topology=TRIANGLE, qubits=qubits)
    assert pairs == ((1, 0), (0, 2), (1, 2))  # in the order of the graph: 01, 02, 12


def test_neighbours_stand_a_step_apart():
    truth, pairs = drawn(
        topology={"kind": "square", "rows": 3, "columns": 3},
        qubit={"frequency_ghz": 4.6, "group_step_ghz": 0.4},
    )
    frequency = truth.qubit["frequency_ghz"]
    assert frequency.tolist() == [4.6, 5.0, 4.6, 5.0, 4.6, 5.0, 4.6, 5.0, 4.6]
    assert all(frequency[a] - frequency[b] == pytest.approx(0.4) for a, b in pairs)


def _none(count: int) -> np.ndarray:
    return np.zeros(count)


def test_drift_acts_on_what_it_names_alone():
    truth, _ = drawn()
    shift = np.array([1e-3, 0, 0, 0, -2e-3])
    after = truth.drifted({
        "frequency_ghz": Deviation(shift, _none(5)),
        "coupling_mhz": Deviation(_none(4), np.log([1.0, 1.1, 1.0, 0.5])),
    })  # fmt: skip
    assert after.qubit["frequency_ghz"] - truth.qubit["frequency_ghz"] == pytest.approx(shift)
    assert after.pair["coupling_mhz"] / truth.pair["coupling_mhz"] == pytest.approx(
        [1, 1.1, 1, 0.5]
    )
    for name in set(QUBIT_PARAMETERS) - {"frequency_ghz"}:
        assert after.qubit[name] == pytest.approx(truth.qubit[name], rel=1e-12)
    for name in set(PAIR_PARAMETERS) - {"coupling_mhz"}:
        assert after.pair[name].tolist() == truth.pair[name].tolist()


def _with_times(t1_us: float, t2_us: float) -> Truth:
    return drawn(qubit={"t1_us": t1_us, "t2_us": t2_us})[0]


def test_coherence_follows_relaxation_under_drift():
    """T1 = 60, T2 = 40: 1/Tφ = 1/40 − 1/120 = 1/60. With T1 = 30: 1/T2 = 1/60 + 1/60, T2 = 30."""
    halved = Deviation(_none(5), np.full(5, math.log(0.5)))
    after = _with_times(60, 40).drifted({"t1_us": halved})
    assert after.qubit["t1_us"] == pytest.approx(30.0)
    assert after.qubit["t2_us"] == pytest.approx(30.0)


def test_drift_of_coherence_is_drift_of_pure_dephasing():
    """Tφ = 60 → 120, T1 = 60 stays: 1/T2 = 1/120 + 1/120, T2 = 60."""
    doubled = Deviation(_none(5), np.full(5, math.log(2)))
    after = _with_times(60, 40).drifted({"t2_us": doubled})
    assert after.qubit["t1_us"] == pytest.approx(60.0)
    assert after.qubit["t2_us"] == pytest.approx(60.0)


def test_relaxation_limited_coherence_stays_so_under_drift():
    halved = Deviation(_none(5), np.full(5, math.log(0.5)))
    both = {"t1_us": halved, "t2_us": halved}
    after = _with_times(60, 120).drifted(both)
    assert after.qubit["t2_us"] == pytest.approx(60.0, rel=1e-6)
    assert np.all(after.qubit["t2_us"] <= 2 * after.qubit["t1_us"])


def test_a_qubits_resonator_has_its_values():
    truth, _ = drawn(qubits={3: {"resonator_ghz": 7.25, "chi_mhz": -0.7, "photons": 33.0}})
    found = resonator(truth, 3)
    assert (found.frequency_ghz, found.chi_mhz, found.photons) == (7.25, -0.7, 33.0)
    assert found.kappa_mhz == truth.qubit["kappa_mhz"][3]
    assert found.cable_phase_rad == truth.qubit["cable_phase_rad"][3]
    assert found.efficiency == Resonator().efficiency


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"qubit": {"t1_us": 0}}, "t1_us must be positive, got 0"),
        ({"qubit": {"rabi_mhz": -80}}, "rabi_mhz must be positive, got -80"),
        ({"pair": {"flux_mhz": -1}}, "flux_mhz must be positive, got -1"),
        ({"pairs": {"0-1": {"coupling_mhz": 0}}}, "coupling_mhz must be positive, got 0"),
        ({"qubit": {"anharmonicity_mhz": 0}}, "anharmonicity_mhz must be negative"),
        ({"qubit": {"t1_us": math.nan}}, "t1_us must be a number, got nan"),
        ({"pairs": {"0-1": {"zz_khz": math.nan}}}, "zz_khz must be a number, got nan"),
        ({"qubit": {"thermal_population": 0.5}}, "thermal_population must be .* below 0.5"),
        ({"qubits": {0: {"thermal_population": -0.1}}}, "thermal_population must be at least 0"),
        ({"qubits": {0: {"group_step_ghz": 0.1}}}, r"give qubits\.0\.frequency_ghz instead"),
    ],
)
def test_physics_that_cannot_be_is_refused_in_one_line(config: dict, says: str):
    with pytest.raises(ValueError, match=says) as caught:
        drawn(**config)
    assert "\n" not in str(caught.value)
