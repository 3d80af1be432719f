"""What a refused command line was probably meant to be: the argument that lacks its option."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_COMMANDS = ("train", "sweep")
_FILE = ("--config", "-c")
_PAIRS = ("--set", "--engine-option")
"""Options whose value has an equals sign."""


def hint(arguments: Sequence[str]) -> str:
    """What was probably meant by `train experiment.yaml` and by `train -c experiment.yaml model.cell=gru`; or empty.

    >>> hint(["train", "experiment.yaml"])
    'the file goes with --config: rnnlab train --config experiment.yaml'
    >>> hint(["train", "-c", "experiment.yaml", "model.cell=gru"])
    'a change goes with --set: --set model.cell=gru'
    """
    command, *words = arguments or [""]
    if command not in _COMMANDS:
        return ""
    files = [word for word in words if word.endswith((".yaml", ".yml"))]
    if files and not any(word.partition("=")[0] in _FILE for word in words):
        others = [word for word in words if word != files[0]]
        return f"the file goes with --config: {shlex.join(['rnnlab', command, '--config', files[0], *others])}"
    pairs = zip(["", *words], words, strict=False)
    changes = [word for before, word in pairs if "=" in word and word[0] != "-" and before not in _PAIRS]
    return (
        f"a change goes with --set: {' '.join(f'--set {shlex.quote(change)}' for change in changes)}" if changes else ""
    )
