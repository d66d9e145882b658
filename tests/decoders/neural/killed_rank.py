"""`syndrift train` as the launcher runs it, keeping each step; rank 1 is killed once, at step 20.

With `spare` as the first argument nobody is.
"""

import os
import signal
import sys

from decoders.neural import training
from scripts.main import main

training._KEEP_EVERY_S = 0.0
learn = training._learn
KILLS = sys.argv[1] == "kill"


def learn_or_die(state, *others):
    first_time = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if KILLS and first_time and os.environ["RANK"] == "1" and state.step == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    learn(state, *others)


training._learn = learn_or_die
if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[2:]]))
