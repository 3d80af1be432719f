"""The thresholds of arithmetic with mantissas and powers of two, in one place, each with its reason.

A number is mantissa * 2^exponent. Nothing is lost while mantissas stay well inside the range of their format; how far
"well inside" reaches depends on what is done next, and so there are several. They cannot be made one: where a row gets
an exponent decides the last bit of its log10 norm, and the readings of a run stay what they are, bit for bit.

Integers are exponents of two. scan/fast/norms.py and `add_blocks` keep their own constants: Numba compiles a function
from its disk cache anew when the file of the function changes, and not when this one does. The kernels of scan/ do, as
this file is part of their stamp.
"""

# Tensors: `Scaled` and what it is written down in.
NO_EXPONENT = 30
"""Gradients whose largest entry is within 2^-30 and 2^30 travel with exponent 0, so that nothing has to be shifted
later. Their squares, and products with states and weights, are far inside float32 (2^-126 to 2^127)."""
FACTOR = 100
"""A factor within 2^-100 and 2^100 is a normal number of float32 and float64; larger ones go to the exponent."""
SURE_NORM = 2.0**-60
"""A norm above this was not computed from float32 numbers that underflowed: entries of 2^-126 are nothing beside it."""
UNDERFLOW_MARGIN = 8.0
"""Norms this many times the smallest normal number are still exact to far better than 0.01 decades."""

# Rows inside the compiled scan.
ROW_SQUARES = 2.0**-20, 2.0**20
"""A row of the adjoint is normalized when its squared norm leaves these, so its norm is within 2^-10 and 2^10: entries
that are NEGLIGIBLE beside it are normal numbers of float32 still, and most rows need no normalization at a timestep."""
ROW = 20
"""A row whose largest entry is within 2^-20 and 2^20 has an exponent that says its size well enough for a sum. Wider
than the norms of ROW_SQUARES, since pre-activation gradients are smaller than dL/dh without being lost; narrower than
NO_EXPONENT, since two such rows are multiplied and summed before their size is looked at again."""
NEGLIGIBLE = -70
"""A row this many powers of two below the largest adds nothing to a sum, in float64 either; its last bits would be
subnormal numbers in float32, which a CPU is slow on."""
SMALLEST_FLOAT32 = -126
"""2^-126 is the smallest normal number of float32, and 2^127 is a number too: so factors of 2^+-126 always are."""
ANY_FLOAT64 = 1000
"""2^+-1000 are normal numbers of float64: what a bound is multiplied with at most to stand at a row's exponent."""
BEYOND_FLOAT32 = 3e38
"""A bound of the adjoint clip at least this large clamps no number of float32, and is itself one."""
