"""Do two ranks learn what one learns?

The same config by one process and by torch's launcher on two, at the same batch: losses while
learning, errors on the same held-out shots, and seconds a step with a core for each process. Then
two ranks of which one is killed, and begun anew by the launcher.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from decoders.statistics import binomial_interval
from scripts.run_folder import machine
from scripts.table import aligned

ROOT = pathlib.Path(__file__).parents[1]
KILLS = ROOT / "tests" / "decoders" / "neural" / "killed_rank.py"
RECIPE = """
title = "Two ranks"
seed = {seed}
batch = 256
examples = {examples}
workers = 0
threads = 1
[code]
name = "rotated-surface"
distance = 3
[noise]
kind = "depolarizing"
p = 0.008
[network]
kind = "residual"
members = 2
[held_out]
shots = 20_000
every = {examples}
"""


def trained(folder: pathlib.Path, ranks: int, seed: int, examples: int, *more: str) -> Any:
    """The run's JSON; with `more` by the program that kills a rank."""
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE.format(seed=seed, examples=examples))
    run = ["train", str(recipe), "--out", str(folder / f"{ranks}-{seed}-{len(more)}"),
           "--no-pictures", "--json"]  # fmt: skip
    command = [sys.executable, "-m", "scripts.main", *run]
    if ranks > 1:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks),
                    "--max-restarts", "1", "--rdzv-backend", "c10d",
                    "--rdzv-endpoint", "127.0.0.1:0"]  # fmt: skip
        begun = [str(KILLS), *more, *run[1:]] if more else ["-m", "scripts.main", *run]
        command = [*launcher, *begun]
    ran = subprocess.run(
        command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "HOME": str(folder),
                        "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return json.loads(ran.stdout.splitlines()[-1])


def row(name: str, seed: int, found: Any) -> list[str]:
    """A line of the table, of the last judgement."""
    last = found["judgements"][-1]
    errors, shots = last["errors"]["this one"], last["shots"]
    low, high = binomial_interval(errors, shots)
    steps = last["examples"] / 256
    return [str(seed), name, f"{last['loss']:.6f}", f"{errors:,} of {shots:,}",
            f"[{low:.2e}, {high:.2e}]", f"{1e3 * last['seconds'] / steps:.1f}"]  # fmt: skip


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    examples, seeds = (7_680, [1]) if options.quick else (51_200, [1, 2, 3])
    print(f"{machine()['cpu']}; residual network, rotated-surface d = 3, p = .008, batch 256, "
          f"{examples:,} examples\n")  # fmt: skip
    rows, losses = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for seed in seeds:
            one, two = (trained(folder, ranks, seed, examples) for ranks in (1, 2))
            rows += [row("one", seed, one), row("two", seed, two)]
            ends = [found["judgements"][-1]["loss"] for found in (one, two)]
            losses.append(abs(ends[1] / ends[0] - 1))
        killed = trained(folder, 2, seeds[0], examples, "kill")
        rows.append(row("two, one killed", seeds[0], killed))
    head = ["seed", "ranks", "mean loss", "errors held out", "95 %", "ms a step"]
    print(aligned(head, rows))
    print(f"\nlosses of two ranks differ from those of one by at most {max(losses):.1e} of them")


if __name__ == "__main__":
    main()
