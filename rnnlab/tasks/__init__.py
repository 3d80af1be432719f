"""The tasks, by the name that YAML uses for each."""

from __future__ import annotations

from rnnlab.parts import Table, table
from rnnlab.tasks.addition import Addition
from rnnlab.tasks.arrays import Arrays
from rnnlab.tasks.base import Batch, Chance, Loss, Single, Source, Task
from rnnlab.tasks.copy import Copy
from rnnlab.tasks.files import sha256
from rnnlab.tasks.mnist import Mnist
from rnnlab.tasks.multiplication import Multiplication
from rnnlab.tasks.noiseless_memorization import NoiselessMemorization
from rnnlab.tasks.random_permutation import RandomPermutation
from rnnlab.tasks.series import Series
from rnnlab.tasks.speech import Speech
from rnnlab.tasks.temporal_order import TemporalOrder
from rnnlab.tasks.temporal_order_3bit import TemporalOrder3bit
from rnnlab.tasks.text import Text

TASKS: Table[Task] = table(
    Addition,
    Multiplication,
    TemporalOrder,
    TemporalOrder3bit,
    RandomPermutation,
    NoiselessMemorization,
    Copy,
    Series,
    Text,
    Arrays,
    Mnist,
    Speech,
)

__all__ = ["TASKS", "Batch", "Chance", "Loss", "Single", "Source", "Task", "sha256"]
