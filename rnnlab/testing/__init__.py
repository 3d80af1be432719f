"""The laws that a part keeps, as functions: for the tests of whoever writes one, and for rnnlab's own.

    from rnnlab.testing import check_cell

    def test_my_cell():
        check_cell(MyCell)

Each takes a part or its class, and raises AssertionError with the law that is broken and how it was seen. Nothing has
to be in a table, nothing is written, and no random state moves.

laws                what all checks share: how a broken law is said, and a part made from its class
check_parts         of any part: it says what it is, refuses unknown options and stays as it is
check_inits         of an initializer
check_clips         of a clip
check_penalties     of a penalty
check_optimizers    of an optimizer
check_tasks         of a task
check_schedules     of a schedule
check_cells         of a cell: its timestep, its derivative, and its rule if it has one
check_probes        of a probe
"""

from rnnlab.testing.check_cells import check_cell
from rnnlab.testing.check_clips import check_clip
from rnnlab.testing.check_inits import check_initializer
from rnnlab.testing.check_optimizers import check_optimizer
from rnnlab.testing.check_parts import check_part
from rnnlab.testing.check_penalties import check_penalty
from rnnlab.testing.check_probes import check_probe
from rnnlab.testing.check_schedules import check_schedule
from rnnlab.testing.check_tasks import check_task

__all__ = [
    "check_cell",
    "check_clip",
    "check_initializer",
    "check_optimizer",
    "check_part",
    "check_penalty",
    "check_probe",
    "check_schedule",
    "check_task",
]
