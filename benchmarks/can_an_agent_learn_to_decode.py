"""Can an agent that is told nothing but whether it was right learn to decode?

    .venv/bin/python benchmarks/can_an_agent_learn_to_decode.py [--quick]

Rotated surface code, distance 3, 3 rounds, Z basis, depolarizing noise with p = 0.01, as
syndrift/Decoding in one step an episode: 24 detection events are seen, one bit is answered, +1 or
-1 is paid. PPO is that of stable-baselines3 as it stands, an MLP of two layers of 128, on one
thread, once for each training seed; it never sees the circuit nor its error model, which the
decoders are given. All are judged on the same shots, of a seed that nobody trained on and no
setting was chosen by. Intervals hold 95 %; p values are of McNemar's exact test on these shots.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import gymnasium
import torch
from stable_baselines3 import PPO

from calib.threads import one_thread
from decoders.compare import REFERENCES
from envs.agents.vector import AsVecEnv
from envs.decoding_policies import DecoderPolicy, NeverFlip
from envs.decoding_table import Failed, against, failures, scores
from scripts.run_folder import machine
from scripts.table import aligned

CONFIG = {"distance": 3, "rounds": 3, "noise": {"kind": "depolarizing", "p": 0.01}}
DECODERS = (*REFERENCES, "tesseract")
TRAINING_SEEDS, HELD_OUT_SEED = (1, 2, 3), 2**31 + 2025
TOGETHER = 4096


def train(seed: int, shots: int) -> tuple[PPO, float]:
    """PPO after so many shots, and the seconds that it took.

    The entropy's weight matters: without it a shot whose answer was once wrong is not tried the
    other way again, and the training stands still far above PyMatching.
    """
    mode = gymnasium.VectorizeMode.VECTOR_ENTRY_POINT
    env = gymnasium.make_vec("envs:syndrift/Decoding-v0", TOGETHER, mode, config=CONFIG)
    network = {"net_arch": [128, 128], "activation_fn": torch.nn.ReLU}
    model = PPO("MlpPolicy", AsVecEnv(env), n_steps=8, batch_size=2048, n_epochs=3, gamma=1.0,
                learning_rate=lambda left: 3e-3 * left, ent_coef=0.2, seed=seed, device="cpu",
                policy_kwargs=network)  # fmt: skip
    begun = time.perf_counter()
    model.learn(shots)
    return model, time.perf_counter() - begun


def played(count: int, training_shots: int, shots: int) -> tuple[dict[str, Failed], float]:
    """On which held-out shots each policy fails, and the seconds of a training on average."""
    policies: dict[str, Any] = {"never flip": NeverFlip(CONFIG)}
    seconds: list[float] = []
    for seed in TRAINING_SEEDS[:count]:
        policies[f"PPO, training seed {seed}"], took = train(seed, training_shots)
        seconds.append(took)
    policies |= {name: DecoderPolicy(CONFIG, name) for name in DECODERS}
    found = {name: failures(one, CONFIG, shots=shots, seed=HELD_OUT_SEED)
             for name, one in policies.items()}  # fmt: skip
    return found, statistics.mean(seconds)


def rows(failed: dict[str, Failed]) -> list[tuple[str, ...]]:
    """The lines of the table."""
    beside = [against(failed, name) for name in REFERENCES]
    lines = []
    for score in scores(failed):
        line = [score.name, f"{score.shots:,}", f"{score.errors:,}",
                "{:.4f} [{:.4f}, {:.4f}]".format(score.ler, *score.interval)]  # fmt: skip
        for pair in (one.get(score.name) for one in beside):
            if pair is None:
                line += ["-", "-"]
                continue
            line.append("{:+.4f} [{:+.4f}, {:+.4f}]".format(pair.difference, *pair.interval))
            line.append(f"{pair.p_value:.1e}" if pair.p_value else "< 1e-300")
        lines.append(tuple(line))
    return lines


def main() -> None:
    """Trains, judges all on the same shots, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short training: half a minute")
    quick = parser.parse_args().quick
    training_shots, shots = (500_000, 100_000) if quick else (5_000_000, 1_000_000)
    with one_thread():
        failed, seconds = played(1 if quick else len(TRAINING_SEEDS), training_shots, shots)
    versus = [title for name in REFERENCES for title in (f"less {name}", "p value")]
    print(aligned(("policy", "shots", "errors", "LER a shot", *versus), rows(failed)))
    print(f"\nPPO: {training_shots:,} shots of training in {seconds:.0f} s; held-out seed "
          f"{HELD_OUT_SEED}; intervals: Wilson, of differences Tango; {machine()}")  # fmt: skip


if __name__ == "__main__":
    main()
