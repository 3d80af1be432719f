"""The tasks, by the name that YAML uses for each.

base                      what every task gives
generated                 sequences that are drawn without end
held                      sequences that are kept in memory
files                     data files, and packages that carry them
archives                  what an .npz file says of its arrays
addition                  the adding problem
multiplication            its product
temporal_order            the order of two symbols
temporal_order_3bit       the order of three
random_permutation        the first symbol, at the end
noiseless_memorization    five bits over a gap
copy                      symbols over a gap
noise                     Gaussian numbers, with nothing to learn
delayed                   what is asked for some timesteps late
delayed_copy              a symbol
delayed_xor               whether two bits differed
lorenz                    the next state of a chaotic system
series                    the next value of a column of a CSV
text                      the next character of a text
unlike                    sequences of unlike length, padded to the longest
arrays                    sequences from an .npz file, or a folder of them
mnist                     digits by rows or pixels
speech                    who is speaking
"""

from __future__ import annotations

from rnnlab.parts import Table, table
from rnnlab.tasks.addition import Addition
from rnnlab.tasks.arrays import Arrays
from rnnlab.tasks.base import Batch, Chance, Loss, Single, Source, Task
from rnnlab.tasks.copy import Copy
from rnnlab.tasks.delayed_copy import DelayedCopy
from rnnlab.tasks.delayed_xor import DelayedXor
from rnnlab.tasks.files import sha256
from rnnlab.tasks.lorenz import Lorenz
from rnnlab.tasks.mnist import Mnist
from rnnlab.tasks.multiplication import Multiplication
from rnnlab.tasks.noise import Noise
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
    Noise,
    DelayedCopy,
    DelayedXor,
    Lorenz,
    Series,
    Text,
    Arrays,
    Mnist,
    Speech,
)

__all__ = ["TASKS", "Batch", "Chance", "Loss", "Single", "Source", "Task", "sha256"]
