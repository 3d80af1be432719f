"""What every test runs under."""

from __future__ import annotations

import os
import signal

import torch

# Tiny tensors gain nothing from a second thread, and on a busy machine two that wait for each other lose a lot.
# test_passes.py runs the scan on several threads on purpose.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")

# A shell that starts the tests in its background lets them ignore Ctrl-C, and all that they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
