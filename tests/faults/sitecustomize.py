"""With this folder on PYTHONPATH and RNNLAB_FAULTS naming a folder for marks, training goes wrong as the file says.

Sequences of 11 timesteps: their process kills itself at its tenth batch, once. 12: an error of no known kind.
RNNLAB_SLOW: seconds that every batch takes besides. RNNLAB_LOOK: seconds between two calls of squeue.
"""

import os
import signal
import time
from pathlib import Path

if os.environ.get("RNNLAB_FAULTS"):
    from rnnlab.tasks.addition import Addition

    marks, draw, count = Path(os.environ["RNNLAB_FAULTS"]), Addition.draw, 0

    def faulty(self, rng, batch, dtype):  # type: ignore[no-untyped-def]
        global count
        count += 1
        time.sleep(float(os.environ.get("RNNLAB_SLOW", "0")))
        if self.length == 11 and count >= 10 and not (mark := marks / "killed").exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.length == 12:
            raise LookupError("made to fail")
        return draw(self, rng, batch, dtype)

    Addition.draw = faulty  # type: ignore[method-assign]

if os.environ.get("RNNLAB_LOOK"):
    from rnnlab.sweeps.engines import on_slurm

    on_slurm.LOOK = float(os.environ["RNNLAB_LOOK"])
