"""`syndrift train` as the launcher runs it, keeping each step; rank 1 is killed once, at step 20.

With `spare` as the first argument nobody is.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from decoders.neural import training
from scripts.main import main


def prepared(*, kills: bool) -> None:
    """Changes how this process trains."""
    learn = training._learn

    def learn_or_die(state: Any, *others: Any) -> None:
        first_time = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
        if kills and first_time and os.environ["RANK"] == "1" and state.step == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        learn(state, *others)

    training._KEEP_EVERY_S = 0.0
    training._learn = learn_or_die


if __name__ == "__main__":
    prepared(kills=sys.argv[1] == "kill")
    sys.exit(main(["train", *sys.argv[2:]]))
