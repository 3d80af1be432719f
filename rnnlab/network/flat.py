"""All parameters of a replica in one row of numbers, and their gradient as such a row.

An optimizer then has one tensor to go over instead of six, and a norm over all parameters is one operation.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.network.flat_rows import multiply_rows, norms_of, write_plain
from rnnlab.scan.scaled import Scaled, log2_norm
from rnnlab.scan.thresholds import FACTOR, SURE_NORM

Floats = NDArray[np.float64]

# Elements that a vectorized loop takes at once, at most: float32, AVX-512, two registers. Rows of whole multiples have
# no tail that would be rounded differently, and every row begins at the same alignment, alone or in a stack.
_AT_ONCE = 32


class Layout:
    """Where each parameter stands in a row: `count` numbers, and zeros up to `width`, a multiple of 32.

    >>> layout = Layout({"W": (2, 3), "b": (3,)})
    >>> layout.count, layout.width, layout.views(torch.zeros(1, 32))["W"].shape
    (9, 32, torch.Size([1, 2, 3]))
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]]) -> None:
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.count = sum(map(math.prod, self.shapes.values()))
        self.width = -(-self.count // _AT_ONCE) * _AT_ONCE
        sizes = map(math.prod, self.shapes.values())
        self.starts = dict(zip(self.shapes, itertools.accumulate(sizes, initial=0), strict=False))
        """The first column of each parameter."""

    def views(self, rows: Tensor) -> dict[str, Tensor]:
        """The parameters [R, ...] as views into rows [R, width]; each replica's is contiguous."""
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        parts = rows[:, : self.count].split(sizes, 1)
        named = zip(self.shapes.items(), parts, strict=True)
        return {name: part.unflatten(1, shape) for (name, shape), part in named}


class Gradient:
    """The gradient of all parameters of every replica, whatever its size, and log2 of its L2 norm [R].

    parts: by parameter, mantissas [R, ...] and exponents [R], in the order of the layout. width: that of the rows.

    >>> vanished = Scaled(torch.tensor([[3.0, 4.0]]), torch.tensor([-2000]))
    >>> gradient = Gradient([vanished], width=32)
    >>> gradient.log2_norm, gradient.norms(), gradient.plain().abs().max()
    (array([-1997.67807191]), array([0.]), tensor(0.))
    """

    def __init__(self, parts: Sequence[Scaled], width: int) -> None:
        self._parts = parts
        self._sizes = [math.prod(part.mantissa.shape[1:]) for part in parts]
        self.count = sum(self._sizes)
        self._rows, beyond = self._written(width)
        self._weigh(_norms(self._rows), beyond)

    def _weigh(self, norms: Floats, beyond: NDArray[np.bool_]) -> None:
        """Set log2 of the norms [R]: those of the rows, where the row says the size."""
        # It does not where the gradient vanished, exploded, is zero or not finite.
        self._apart = beyond | ~((norms > SURE_NORM) & (norms < np.inf))
        self.log2_norm = _log2(norms)
        if self._apart.any():
            self.log2_norm[self._apart] = _host(log2_norm(self._chosen(self._apart)))

    def of(self, first: int, last: int) -> Gradient:
        """That of some replicas: a view."""
        some = copy.copy(self)
        some._parts = [Scaled(mantissa[first:last], exponent[first:last]) for mantissa, exponent in self._parts]
        some._rows, some._apart = self._rows[first:last], self._apart[first:last]
        some.log2_norm = self.log2_norm[first:last]
        return some

    def norms(self) -> Floats:
        """The L2 norm [R]: 0 or inf where float64 cannot hold it."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp2(self.log2_norm)

    def plain(self, log2_factor: Floats | None = None) -> Tensor:
        """Gradient * 2^log2_factor [R] as fresh rows [R, width]: inf where it overflows, 0 below the smallest normal.

        A factor of float64's precision; its power of two goes to the exponents where the row cannot hold the gradient,
        so nothing overflows on the way.
        """
        rows, apart = self._rows, self._apart
        if log2_factor is not None:
            apart = apart | (np.abs(log2_factor) > FACTOR)
        rows = self._multiplied(None if log2_factor is None else np.exp2(log2_factor.clip(-FACTOR, FACTOR)))
        if apart.any():
            parts = self._chosen(apart)
            if log2_factor is not None:
                parts = [part.times_power(log2_factor[apart]) for part in parts]
            rows[_index(apart, rows), : self.count] = torch.cat([part.plain().flatten(1) for part in parts], 1)
        return rows

    def _multiplied(self, factors: Floats | None) -> Tensor:
        """The rows times factors [R], zero below the smallest normal number."""
        rows = self._rows if factors is None else self._rows * _column(factors, self._rows)
        return torch.hardshrink(rows, _subnormal(rows.dtype))

    def _written(self, width: int) -> tuple[Tensor, NDArray[np.bool_]]:
        """The plain values, and whose exponents are too far from 0 for them [R]."""
        flat = [part.mantissa.flatten(1) for part in self._parts]
        rows = torch.cat([*flat, flat[0].new_zeros(len(flat[0]), width - self.count)], 1)
        beyond = np.zeros(len(rows), np.bool_)
        for exponent, first, last in self._spans():
            powers = _host(exponent)
            if powers.any():
                beyond |= np.abs(powers) > FACTOR
                rows[:, first:last].mul_(_column(np.ldexp(1.0, powers.clip(-FACTOR, FACTOR)), rows))
        return rows, beyond

    def _spans(self) -> list[tuple[Tensor, int, int]]:
        """The columns of parameters that stand beside each other and share one tensor of exponents."""
        spans: list[tuple[Tensor, int, int]] = []
        last = 0
        for (_, exponent), size in zip(self._parts, self._sizes, strict=True):
            first, last = last, last + size
            if spans and spans[-1][0] is exponent:
                first = spans.pop()[1]
            spans.append((exponent, first, last))
        return spans

    def _chosen(self, chosen: NDArray[np.bool_]) -> list[Scaled]:
        index = _index(chosen, self._rows)
        return [Scaled(mantissa[index], exponent[index]) for mantissa, exponent in self._parts]


class RowGradient(Gradient):
    """A gradient whose mantissas stand in rows already, as the compiled scan leaves it: the same by compiled loops.

    mantissas [R, width]; the columns edges[k] to edges[k + 1] are at exponents [R, K]. parts gives the same by
    parameter, where that is needed.
    """

    def __init__(
        self,
        mantissas: NDArray[Any],
        exponents: NDArray[np.int64],
        edges: NDArray[np.int64],
        parts: Callable[[], Sequence[Scaled]],
    ) -> None:
        self._parts_of, self.count = parts, int(edges[-1])
        R, rows = len(mantissas), np.empty_like(mantissas)
        norms, beyond = np.empty(R), np.empty(R, np.bool_)
        write_plain(mantissas.dtype.type(1), mantissas, edges, exponents, rows, norms, beyond)
        self._rows = torch.from_numpy(rows)
        self._weigh(norms, beyond)

    @functools.cached_property
    def _parts(self) -> Sequence[Scaled]:  # type: ignore[override]
        return self._parts_of()

    def _multiplied(self, factors: Floats | None) -> Tensor:
        rows = self._rows.numpy()
        out, real = np.empty_like(rows), rows.dtype.type
        factors = np.ones(len(rows)) if factors is None else factors
        multiply_rows(rows, factors.astype(real), np.finfo(real).tiny, out)
        return torch.from_numpy(out)


def stretches(keys: Iterable[Any]) -> list[tuple[int, int]]:
    """Where neighbours are equal: first and one after last, [a, a, b] to [(0, 2), (2, 3)]."""
    lengths = [len(list(same)) for _, same in itertools.groupby(keys)]
    edges = itertools.accumulate(lengths, initial=0)
    return list(itertools.pairwise(edges))


def row_norms(rows: Tensor) -> Floats:
    """The L2 norm [R] of rows [R, P], in float64: inf beyond its range, inf or nan if not finite."""
    norms = _norms(rows)
    far = ~((norms > SURE_NORM) & (norms < np.inf))
    if far.any():  # the squares of float64 leave float64
        some = rows[_index(far, rows)]
        zero = torch.zeros(len(some), dtype=torch.int64, device=rows.device)
        norms[far] = _host(log2_norm([Scaled(some, zero)]).exp2())
    return norms


def _norms(rows: Tensor) -> Floats:
    if rows.device.type == "cpu" and rows.is_contiguous():
        norms_of(rows.numpy(), norms := np.empty(len(rows)))
        return norms
    of_device: Floats = _host(torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64))
    return of_device


def _log2(norms: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log2(norms)


def _column(values: Floats, like: Tensor) -> Tensor:
    """[R] as [R, 1] of the dtype and device of `like`."""
    return torch.from_numpy(values).to(like)[:, None]


def _subnormal(dtype: torch.dtype) -> float:
    """The largest number below the smallest normal one."""
    limits = torch.finfo(dtype)
    return limits.tiny * (1 - limits.eps)


def _index(chosen: NDArray[np.bool_], like: Tensor) -> Tensor:
    return torch.from_numpy(chosen).to(like.device)


def _host(tensor: Tensor) -> Any:
    return tensor.cpu().numpy()
