"""The pre-decoder: what it learns from explains the events, what it takes changes no parity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymatching
import pytest
import stim
import torch
from torch import Tensor, nn

from decoders.codes import memory_circuit
from decoders.dem import circuit_model
from decoders.neural.predecoded import CompiledPreDecoder
from decoders.neural.predecoder_network import EdgeNetwork
from decoders.neural.predecoder_recipe import PreDecoder
from decoders.neural.predecoding import EdgeSight, Ways
from decoders.neural.problem import Problem
from decoders.noise import Depolarizing

SQUARE = """
error(0.01) D0 D1
error(0.01) D1 D3
error(0.01) D0 D2
error(0.01) D2 D3
error(0.01) D0 L0
error(0.01) D3
detector(0, 0, 0) D0
detector(1, 0, 0) D1
detector(0, 1, 0) D2
detector(1, 1, 0) D3
"""


def made(code: str, distance: int, p: float = 0.005) -> Problem:
    noiseless = memory_circuit(code, distance=distance, rounds=distance)
    circuit = Depolarizing(kind="depolarizing", p=p).apply(noiseless)
    return Problem.of(circuit_model(circuit, decomposed=True))


def symptoms(problem: Problem, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Events and flips of sets of edges, one edge after another."""
    events = np.zeros((len(edges), problem.graph.detectors), dtype=bool)
    flips = np.zeros((len(edges), problem.graph.observables), dtype=bool)
    for shot, edge in np.argwhere(edges):
        detectors, flipped = problem.graph.edges[edge]
        events[shot, list(detectors)] ^= True
        flips[shot, list(flipped)] ^= True
    return events, flips


def packed(events: np.ndarray) -> np.ndarray:
    return np.packbits(events, axis=1, bitorder="little")


def compiled(network: nn.Module, problem: Problem, **options: float) -> CompiledPreDecoder:
    rule: dict[str, Any] = {"commit": 0.95, "possible": 0.01} | options
    return CompiledPreDecoder(network, problem, **rule)


class Knowing(nn.Module):
    """Says what it was told."""

    def __init__(self, odds: Tensor):
        super().__init__()
        self.odds = odds

    def forward(self, events: Tensor, weights: Tensor) -> Tensor:
        return self.odds[: len(events)]


def chosen(problem: Problem, shots: int, seed: int) -> np.ndarray:
    """The edges that correlated matching takes for shots of the model."""
    events = problem.model.compile_sampler(seed=seed).sample(shots)[0]
    matching = pymatching.Matching.from_detector_error_model(
        problem.graph.labelled(np.ones(len(problem.graph.faults))), enable_correlations=True
    )
    found = matching.decode_batch(np.asarray(events, np.uint8), enable_correlations=True)
    return np.asarray(found).astype(bool)


@pytest.mark.parametrize("code", ["rotated-surface", "xzzx-surface", "repetition", "heavy-hex"])
def test_edges_make_the_events_and_what_correlated_matching_says(code: str) -> None:
    problem = made(code, 5, 0.01)
    drawn = EdgeSight(problem).matched(200, seed=3)
    events, flips = symptoms(problem, drawn.edges)
    matching = pymatching.Matching.from_detector_error_model(
        problem.model, enable_correlations=True
    )
    answers = matching.decode_batch(drawn.events.astype(np.uint8), enable_correlations=True)
    assert drawn.events.sum() > 200
    assert drawn.flips.any()
    np.testing.assert_array_equal(events, drawn.events)
    np.testing.assert_array_equal(flips, np.asarray(answers) > 0)


def test_ways_around_a_square_are_told_as_one() -> None:
    problem = Problem.of(stim.DetectorErrorModel(SQUARE))
    assert [sorted(ends) for ends, _ in problem.graph.edges[:4]] == [[0, 1], [1, 3], [0, 2], [2, 3]]
    ways = Ways.of(problem)
    over, under = np.array([[1, 1, 0, 0, 0, 0]]) > 0, np.array([[0, 0, 1, 1, 0, 0]]) > 0
    np.testing.assert_array_equal(ways.simplest(over), ways.simplest(under))
    assert not ways.simplest(over | under).any()
    around = np.array([[1, 1, 0, 0, 1, 1]]) > 0
    np.testing.assert_array_equal(symptoms(problem, ways.simplest(around))[1], [[True]])


def test_the_simplest_edges_are_cheaper_and_simplest_again() -> None:
    problem = made("rotated-surface", 5, 0.01)
    as_drawn = chosen(problem, 2000, seed=5)
    ways = Ways.of(problem)
    simplest = ways.simplest(as_drawn)
    costs, least = as_drawn @ problem.graph.alone, simplest @ problem.graph.alone
    assert (least <= costs + 1e-2).all()  # ways that cost the same are chosen by place
    assert (simplest != as_drawn).any(axis=1).mean() > 0.1
    np.testing.assert_array_equal(ways.simplest(simplest), simplest)


def test_a_network_that_knows_the_edges_leaves_nothing() -> None:
    problem = made("rotated-surface", 5, 0.01)
    sight = EdgeSight(problem)
    batch, drawn = sight.draw(100, seed=7), sight.matched(100, seed=7)
    known_flips = symptoms(problem, drawn.edges)[1]
    # Where there is no edge it says "in error", and nobody listens.
    known = np.where(batch["real"] > 0, batch["edges"], 1.0)
    network = Knowing(torch.from_numpy(40.0 * known - 20.0))
    decoder = compiled(network, problem)
    left, flips = decoder.remaining(drawn.events)
    assert drawn.events.any()
    assert known_flips.any()
    assert not left.any()
    np.testing.assert_array_equal(flips, known_flips)
    answers = decoder.decode_shots_bit_packed(bit_packed_detection_event_data=packed(drawn.events))
    np.testing.assert_array_equal(answers, packed(known_flips))


def test_taking_edges_conserves_parity_whatever_the_network_says() -> None:
    problem = made("rotated-surface", 3)
    drawn = EdgeSight(problem).matched(50, seed=2)
    rng = np.random.default_rng(4)
    said = rng.random((50, len(problem.graph.edges))) < 0.1
    network = Knowing(torch.from_numpy(problem.lattice.with_edges(40.0 * said - 20.0)))
    left, flips = compiled(network, problem).remaining(drawn.events)
    events, flipped = symptoms(problem, said)
    np.testing.assert_array_equal(left, drawn.events ^ events)
    np.testing.assert_array_equal(flips, flipped)


@pytest.mark.parametrize("correlated", [False, True])
def test_an_untrained_network_leaves_all_to_matching(correlated: bool) -> None:
    recipe = PreDecoder(kind="pre-decoder", correlated=correlated, channels=4, depth=2)
    network = recipe.network(10, 1)
    for distance in (3, 5, 9):
        problem = made("rotated-surface", distance, 0.008)
        drawn = EdgeSight(problem).matched(200, seed=distance)
        decoder = recipe.decoder(network, problem)
        answers = decoder.decode_shots_bit_packed(
            bit_packed_detection_event_data=packed(drawn.events)
        )
        plain = pymatching.Matching.from_detector_error_model(
            problem.model, enable_correlations=correlated
        )
        shots = drawn.events.astype(np.uint8)
        expected = np.asarray(plain.decode_batch(shots, enable_correlations=correlated))
        assert expected.any()
        np.testing.assert_array_equal(answers, packed(expected))


def test_what_it_says_of_an_edge_hangs_on_events_nearby() -> None:
    problem = made("rotated-surface", 9)
    torch.manual_seed(1)
    network = EdgeNetwork(len(problem.lattice.kinds), 1, channels=4, depth=3)
    nn.init.normal_(network.last.weight)
    weights = torch.from_numpy(problem.weights)
    events = torch.zeros(2, *problem.lattice.shape)
    events[1, 0, 5, 5, 5] = 1
    with torch.inference_mode():
        without, with_it = network(events, weights)
    changed = (without != with_it).any(dim=0).nonzero()
    assert (changed - 5).abs().max() == 3
    assert len(changed) > 27


def test_the_same_seed_draws_the_same_and_another_none_of_it() -> None:
    sight = EdgeSight(made("rotated-surface", 5, 0.01))
    first, same, other = (sight.draw(64, seed) for seed in (5, 5, 6))
    for name, value in first.items():
        np.testing.assert_array_equal(value, same[name])
    rows = [{one.tobytes() for one in batch["events"] if one.sum() > 4} for batch in (first, other)]
    assert len(rows[0]) > 55
    assert not rows[0] & rows[1]


@pytest.fixture
def chain() -> Problem:
    """Ten detectors in a row, edge k between D{k} and D{k+1}, and the last one to a boundary."""
    text = "".join(f"error(0.01) D{k} D{k + 1}\ndetector({k}, 0) D{k}\n" for k in range(9))
    return Problem.of(stim.DetectorErrorModel(text + "error(0.01) D9 L0\ndetector(9, 0) D9"))


def saying(problem: Problem, chances: dict[int, float], shots: int) -> Knowing:
    """Of edges these chances, and of others next to none."""
    said = np.full((1, len(problem.graph.edges)), -20.0)
    for edge, chance in chances.items():
        said[0, edge] = np.log(chance / (1 - chance))
    grid = torch.from_numpy(problem.lattice.with_edges(said))
    return Knowing(grid.expand(shots, -1, -1, -1, -1))


def test_a_likely_edge_is_taken_only_where_its_cluster_is_explained(chain: Problem) -> None:
    events = np.zeros((2, 10), dtype=bool)
    events[:, [1, 2, 9]] = True
    events[1, 4] = True  # joined with D2 by edges 2 and 3
    network = saying(chain, {1: 0.8, 2: 0.02, 3: 0.02, 9: 0.99}, shots=2)
    near = compiled(network, chain).taken(events)
    np.testing.assert_array_equal(near.nonzero(), [[0, 0, 1], [1, 9, 9]])
    assert compiled(network, chain, possible=0.03).taken(events)[:, 1].all()
    assert compiled(network, chain, commit=0.79).taken(events)[:, 1].all()


def test_an_edge_less_likely_than_not_is_never_taken(chain: Problem) -> None:
    events = np.zeros((1, 10), dtype=bool)
    assert not compiled(saying(chain, {4: 0.49}, shots=1), chain).taken(events).any()
    taken = compiled(saying(chain, {4: 0.51}, shots=1), chain, commit=0.6).taken(events)
    assert not taken.any()  # it would make two events


def test_clusters_of_one_shot_are_not_those_of_another(chain: Problem) -> None:
    events = np.zeros((2, 10), dtype=bool)
    events[0, [1, 2]], events[1, [1, 2, 3]] = True, True
    network = saying(chain, {1: 0.8, 2: 0.1}, shots=2)
    np.testing.assert_array_equal(compiled(network, chain).taken(events).nonzero(), [[0], [1]])


def taught(problems: list[Problem], steps: int) -> EdgeNetwork:
    torch.manual_seed(1)
    network = EdgeNetwork(10, 1, channels=12, depth=3)
    sights = [EdgeSight(problem) for problem in problems]
    optimiser = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 8e-3, total_steps=steps)
    for step in range(steps):
        batch = sights[step % len(sights)].draw(32, step)
        network.loss({name: torch.from_numpy(value) for name, value in batch.items()}).backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
    return network


@pytest.mark.slow
def test_taught_briefly_it_takes_most_events_and_errs_no_more_than_matching() -> None:
    problem = made("rotated-surface", 5, 0.003)
    network = taught([problem, made("rotated-surface", 5, 0.006)], 600)
    decoder = compiled(network, problem, commit=0.995, possible=0.003)
    drawn = EdgeSight(problem).matched(12_000, seed=2**40)
    left, flips = decoder.remaining(drawn.events)
    assert left.sum() < 0.35 * drawn.events.sum()
    wrong = (decoder.matched(left) ^ flips) != drawn.flips
    by_matching = decoder.matched(drawn.events) != drawn.flips
    assert by_matching.sum() > 100
    lost, won = (wrong & ~by_matching).sum(), (by_matching & ~wrong).sum()
    # If it errs as often as matching, four standard deviations are a chance of 3e-5.
    assert lost + won > 0
    assert lost - won < 4 * np.sqrt(lost + won)
    # It is not more sure than it may be, by a percent at most.
    some = slice(0, 4000)
    chances = 1 / (1 + np.exp(-decoder.edge_odds(drawn.events[some]).astype(float)))
    sure = chances > 0.9
    assert sure.sum() > 3000
    assert chances[sure].mean() - 0.01 < drawn.edges[some][sure].mean() < 1
