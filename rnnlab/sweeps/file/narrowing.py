"""Some of the runs of a sweep, chosen by conditions: they keep the names and identities that they have in all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rnnlab.compare.conditions import condition
from rnnlab.errors import UsageError
from rnnlab.runs.run import dotted_settings
from rnnlab.sweeps.file.load import Sweep


def narrowed(sweep: Sweep, only: Sequence[str]) -> Sweep:
    """The sweep with the runs for which all conditions hold, such as `model.cell=[lstm, gru]` or `task.length<=50`.

    Raises UsageError for a text that is no condition, for an unknown key, and where no run is left.
    """
    if not only:
        return sweep
    rules = [condition(text) for text in only]
    settings = [dict(dotted_settings(member.config.resolved())) for member in sweep.members]
    known = dict.fromkeys(key for row in settings for key in row)
    for rule in rules:
        rule.check(known)
    members = [
        member for member, row in zip(sweep.members, settings, strict=True) if all(rule.holds(row) for rule in rules)
    ]
    if not members:
        unmet = next(filter(None, (rule.unmet(settings) for rule in rules)), "no run fulfils all conditions together")
        raise UsageError(f"--only leaves nothing of the {len(sweep.members):,} runs: {unmet}")
    kept = {member.identity for member in members}
    others = {member.identity for member in sweep.members} - kept
    return replace(sweep, members=members, others=sweep.others | others)
