"""Rare rows of a sweep: taken over where counting sees too little, kept, and used for Λ."""

import json
import math
import pathlib

import pytest

from decoders.conclude import suppression
from decoders.evaluate import Row, evaluate
from decoders.evaluate_config import EvaluateConfig
from decoders.rare_sweep import with_estimates
from decoders.statistics import LambdaFit

P = 1e-3


def config_of(**changes: object) -> EvaluateConfig:
    table: dict[str, object] = {
        "code": {"name": "repetition", "distance": [3, 5, 7], "rounds": 1},
        "noise": {"kind": "code-capacity", "p": P, "channel": "x"},
        "decoders": "pymatching",
        "stop": {"max_shots": 2_000},
        "rare": {"replicates": 8, "population": 1000, "chain": 20, "start_shots": 2000},
        "workers": 1,
    }
    return EvaluateConfig.model_validate(table | changes)


def tail(distance: int) -> float:
    """More than half of the data qubits flipped: matching fails then and only then."""
    return sum(
        math.comb(distance, k) * P**k * (1 - P) ** (distance - k)
        for k in range(distance // 2 + 1, distance + 1)
    )


@pytest.fixture(scope="module")
def estimated(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], pathlib.Path]:
    folder = tmp_path_factory.mktemp("rare")
    rows = evaluate(config_of(), folder / "counts.csv")
    return with_estimates(config_of(), rows, folder / "rare.json"), folder


def test_estimates_agree_with_the_binomial_tail(
    estimated: tuple[list[Row], pathlib.Path],
) -> None:
    for row in estimated[0]:
        assert row.method == "splitting"
        truth = tail(row.point.distance or 0)
        # Student's t with 7 degrees of freedom leaves [-8, 8] once in 10,000 times.
        assert abs(row.ler - truth) < 8 * row.relative_standard_error * row.ler
        assert row.per_round is not None
        assert row.per_round[0] == pytest.approx(row.ler)  # code-capacity noise comes once


def test_what_is_known_is_not_estimated_again(
    estimated: tuple[list[Row], pathlib.Path],
) -> None:
    rows, folder = estimated
    cache = folder / "rare.json"
    table = json.loads(cache.read_text())
    assert len(table) == 3
    for values in table.values():
        values["ler"] = 0.25  # a mark that only the cache can have left
    marked = folder / "marked.json"
    marked.write_text(json.dumps(table))
    assert [row.ler for row in with_estimates(config_of(), rows, marked)] == [0.25] * 3


def test_an_estimate_does_not_hang_on_the_other_rows(
    estimated: tuple[list[Row], pathlib.Path], tmp_path: pathlib.Path
) -> None:
    rows, _ = estimated
    (alone,) = with_estimates(config_of(), [rows[2]], tmp_path / "alone.json")
    assert alone.ler == rows[2].ler
    (other_seed,) = with_estimates(config_of(seed=2), [rows[2]], tmp_path / "seed.json")
    assert other_seed.ler != rows[2].ler


def test_rows_with_enough_errors_are_left_alone(tmp_path: pathlib.Path) -> None:
    config = config_of(noise={"kind": "code-capacity", "p": 0.3, "channel": "x"})
    rows = evaluate(config, tmp_path / "counts.csv")
    assert with_estimates(config, rows, tmp_path / "rare.json") == rows
    assert {row.method for row in rows} == {"counting"}


def test_without_a_rare_table_nothing_is_estimated(tmp_path: pathlib.Path) -> None:
    config = config_of(rare=None)
    rows = evaluate(config, tmp_path / "counts.csv")
    assert with_estimates(config, rows, tmp_path / "rare.json") == rows
    assert not (tmp_path / "rare.json").exists()


def test_a_broken_cache_is_named(
    estimated: tuple[list[Row], pathlib.Path], tmp_path: pathlib.Path
) -> None:
    for text in ("{", '{"a": {}}', "[1]"):
        (tmp_path / "rare.json").write_text(text)
        with pytest.raises(ValueError, match=r"rare\.json: not a file of rare-event estimates"):
            with_estimates(config_of(), estimated[0], tmp_path / "rare.json")


def test_suppression_uses_the_estimates(estimated: tuple[list[Row], pathlib.Path]) -> None:
    (found,) = suppression(estimated[0], seed=1, confidence=0.9999)
    assert isinstance(found.fit, LambdaFit)
    # Λ is nearly constant here: the ratios of the exact tails are the ends of its range.
    ratios = [tail(3) / tail(5), tail(5) / tail(7)]
    assert found.fit.interval[0] < max(ratios)
    assert found.fit.interval[1] > min(ratios)
    assert min(ratios) / 1.5 < found.fit.value < max(ratios) * 1.5
