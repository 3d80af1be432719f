"""The singular values of a long product of matrices, and the Lyapunov exponents that they grow to.

In plain arithmetic all but the largest singular values of a product of a few dozen Jacobians are rounding errors, and
after some hundred neither end of the spectrum is a number that float64 can hold. So a product is kept as U D V: U
orthonormal, D diagonal and given by its log2, V well-conditioned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlab.logspace import LOG10_2

Array = NDArray[np.float64]

_ALIKE = 1e-3
"""The ratio of columns that are of about one size."""
_WINDOW = 600.0
"""log2 of the ratio that the singular values taken from one decomposition may have, where others follow."""
_WIDEST = 800.0
"""log2 of the ratio that its columns may have; LAPACK keeps singular values down to 2^-1000 of the largest."""
_MARGIN = 200.0
"""log2 of the ratio by which a singular value is below those that are left out of its decomposition."""


class MatrixProduct:
    """A product A_n ... A_2 A_1 of square matrices, with its singular values right at any size.

    Graded QR: with P = U D V and the QR decomposition A U = Q R of rows and columns ordered by size, A P = Q D' V' with
    V' = D'^-1 R D V. Small singular values then keep their digits where the rows or columns of the factors are of
    different sizes (Stewart 1997, On graded QR decompositions of products of matrices; Bai, Lee, Li and Xu 2011,
    Stable solutions of linear systems involving long chain of matrix multiplications).

    >>> import numpy as np
    >>> product = MatrixProduct(2)
    >>> for _ in range(1000):
    ...     product.multiply(np.diag([0.1, 2.0]))
    >>> product.log10_singular_values().round(3).tolist()
    [301.03, -1000.0]
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.U, self.log2_D, self.V = np.eye(size), np.zeros(size), np.eye(size)

    @property
    def rank(self) -> int:
        """How many singular values are not exactly zero, as far as that shows in rows of zeros."""
        return len(self.log2_D)

    def multiply(self, A: Array) -> None:
        """Multiply by one more finite matrix [N, N], from the left."""
        sizes = np.abs(A).max(0)
        if sizes.min() < _ALIKE * sizes.max():
            # Columns of different sizes are scaled first: mixed with others, the small ones would lose their digits.
            self._absorb(sizes[:, None] * self.U)
            A = A / np.where(sizes > 0, sizes, 1)
        self._absorb(A @ self.U)

    def _absorb(self, B: Array) -> None:
        """Put B D V, B [N, r], in the place of U D V."""
        from scipy.linalg import qr

        if not self.rank:
            return
        with np.errstate(divide="ignore"):
            sizes = np.log2(np.abs(B)) + self.log2_D
        columns, rows = np.argsort(-sizes.max(0), kind="stable"), np.argsort(-sizes.max(1), kind="stable")
        Q, R = qr(B[np.ix_(rows, columns)], mode="economic", check_finite=False)
        before = self.log2_D[columns]
        with np.errstate(divide="ignore"):
            after = (np.log2(np.abs(R)) + before).max(1)
        there = np.isfinite(after)
        U = np.empty_like(Q)
        U[rows] = Q
        factor = np.exp2(np.clip(before - after[there, None], -1000, 1000))
        self.U, self.log2_D = U[:, there], after[there]
        self.V = (R[there] * factor) @ self.V[columns]

    def log10_singular_values(self) -> Array:
        """log10 of the N singular values, descending; -inf for exact zeros."""
        logs = np.full(self.size, -np.inf)
        logs[: self.rank] = np.sort(_log2_singular_values(self.log2_D, self.V))[::-1] * LOG10_2
        return logs


def _log2_singular_values(log2_D: Array, V: Array) -> Array:
    """Of D V: with the QR decomposition V^T = Q R they are those of R D, whose columns alone are of different sizes.

    R is triangular, so that those far below the first columns are those of the rows and columns that follow.
    """
    order = np.argsort(-log2_D, kind="stable")
    sizes, r = log2_D[order], len(order)
    R = np.asarray(np.linalg.qr(V[order].T, mode="r"))
    logs = np.empty(r)
    first = known = 0
    while known < r:
        last = int(np.searchsorted(-sizes, _WIDEST - sizes[first]))
        values = _jacobi(R[first:last, first:last] * np.exp2(sizes[first:last] - sizes[first])) + sizes[first]
        in_window = values[known - first :]
        count = len(in_window) if last == r else max(1, int((in_window > sizes[first] - _WINDOW).sum()))
        logs[known : known + count] = in_window[:count]
        known += count
        if known < r:
            # From some columns before, unless the next one is far below them.
            first = min(max(first, int(np.searchsorted(-sizes, -(logs[known - 1] + _MARGIN)))), known)
            first = first if sizes[known] > sizes[first] - _WINDOW else known
    return logs


def _jacobi(A: Array) -> Array:
    """log2 of the singular values, descending, to high relative accuracy whatever the sizes of the columns.

    One-sided Jacobi: Drmac and Veselic 2008, New fast and accurate Jacobi SVD algorithm, doi:10.1137/050639193.
    """
    from scipy.linalg.lapack import dgejsv

    sva, _, _, work, *_ = dgejsv(np.asfortranarray(A), joba=0, jobu=3, jobv=3, jobr=0, jobt=1, jobp=1)
    with np.errstate(divide="ignore"):
        logs: Array = np.sort(np.log2(sva) + np.log2(work[0] / work[1]))[::-1]
    return logs


def isometry_error(log10_singular_values: Array) -> float:
    """log10 of the root mean square of sigma^2 - 1, which is ||P^T P - I||_F / sqrt(N); -inf for an isometry.

    Saxe, McClelland and Ganguli 2014, arXiv:1312.6120; Pennington, Schoenholz and Ganguli 2017, arXiv:1711.04735.
    """
    squares = 2 * log10_singular_values
    with np.errstate(divide="ignore", over="ignore"):
        # |10^s - 1|: below 10^15 in plain numbers, and 10^s itself beyond.
        deviations = np.where(squares > 15, squares, np.log10(np.abs(np.expm1(np.minimum(squares, 15) * np.log(10)))))
    top = deviations.max()
    if not np.isfinite(top):
        return float(top)
    return float(top + 0.5 * np.log10(np.mean(10 ** (2 * (deviations - top)))))


@dataclass(frozen=True)
class LyapunovExponents:
    """Exponents in nats a timestep, descending, with their standard errors.

    >>> exponents = LyapunovExponents.of(np.log([[2.0, 0.25]] * 10))
    >>> exponents.values.round(3).tolist(), exponents.errors.round(3).tolist(), exponents.dimension
    ([0.693, -1.386], [0.0, 0.0], 1.5)
    """

    values: Array
    errors: Array

    @classmethod
    def of(cls, growth: Array) -> LyapunovExponents:
        """From log |R_ii| of each timestep's QR decomposition, [timesteps, exponents]: their means."""
        values, errors = growth.mean(0), batch_means_error(growth)
        order = np.argsort(-values, kind="stable")
        return cls(values[order], errors[order])

    @property
    def dimension(self) -> float:
        """The Kaplan-Yorke dimension of the attractor; see `kaplan_yorke`."""
        return kaplan_yorke(self.values)


def batch_means_error(values: Array) -> Array:
    """The standard error of the mean over the first axis, of neighbours that depend on each other.

    Means of about sqrt(n) batches of neighbours are as good as independent where the dependence is shorter than a batch
    (Glynn and Whitt 1991, doi:10.1016/0167-6377(91)90019-L). NaN for fewer than 4 values.
    """
    n = len(values)
    count = int(np.sqrt(n))
    if count < 2:
        return np.full(values.shape[1:], np.nan)
    means = values[n % count :].reshape(count, n // count, *values.shape[1:]).mean(1)
    with np.errstate(invalid="ignore"):
        error: Array = means.std(0, ddof=1) / np.sqrt(count)
    return error


def kaplan_yorke(exponents: Array) -> float:
    """j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|, j the most exponents of descending order whose sum is >= 0.

    0 where the first is negative; N where the sum of all N is not. NaN where an exponent is not known.
    Kaplan and Yorke 1979, doi:10.1007/BFb0064319; Frederickson, Kaplan, Yorke and Yorke 1983,
    doi:10.1016/0022-0396(83)90011-6.

    >>> kaplan_yorke(np.array([0.9, 0.0, -14.5])).__round__(3)  # the Lorenz attractor's
    2.062
    """
    if np.isnan(exponents).any():
        return np.nan
    sums = np.cumsum(exponents)
    if sums[-1] >= 0:
        return float(len(exponents))
    j = int(np.argmax(sums < 0))
    return float(j + (sums[j - 1] / -exponents[j] if j else 0.0))
