"""Stands for a worker of the engine local: asks the warm process for a fork, and lives and dies as that does."""

import json
import os
import signal
import socket
import sys

caller = socket.socket(socket.AF_UNIX)
caller.connect(os.environ["CHAOS_SOCKET"])
message = {"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}
socket.send_fds(caller, [json.dumps(message).encode()], [0, 1, 2])
answers = caller.makefile()
pid = int(answers.readline())
for number in (0, 1):  # its pipes end when it ends
    os.close(number)
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
status = int(answers.readline() or "-9")
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
    os.kill(os.getpid(), -status)
os._exit(status)
