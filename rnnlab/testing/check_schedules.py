"""Laws of a schedule."""

from __future__ import annotations

from rnnlab.probes import Schedule
from rnnlab.testing.check_parts import check_part
from rnnlab.testing.laws import law, made

UPDATES = 300


def check_schedule(schedule: Schedule | type[Schedule]) -> None:
    """Raise AssertionError unless a schedule keeps the laws of schedules.

    Those of every part; `due` gives a bool that does not depend on what was asked before; `due_updates` gives the
    updates for which `due` is true, ascending; nothing is due before `first`, and something is within the first 300.
    """
    check_part(schedule)
    built, updates = made(schedule), range(UPDATES)
    answers = [built.due(update, UPDATES) for update in updates]
    law(all(isinstance(answer, bool) for answer in answers), "`due` gives True or False", set(map(type, answers)))
    backwards = [built.due(update, UPDATES) for update in reversed(updates)][::-1]
    law(answers == backwards, "a schedule has no memory: its answer does not depend on what it was asked before")
    due = [update for update, answer in zip(updates, answers, strict=True) if answer]
    law(due, f"something is measured within the first {UPDATES} updates")
    law(list(built.due_updates(UPDATES)) == due, "`due_updates` gives the updates for which `due` is true")
    law(built.first() <= due[0], "nothing is measured before `first`", (built.first(), due[0]))
