"""Matrix products inside compiled code: C = start + A B for the few rows of a batch, B packed once for a whole scan.

A library's product packs B anew at each call and is tuned for large matrices; at the shapes of a scan (10 to 64 rows)
it runs at a third to two thirds of the rate that is reached here. The core is one loop over k that keeps a tile of C in
registers: rows of the tile x 2 vectors of columns, one vector of B broadcast against one number of A at a time.

B is packed in panels of `panel_width` columns, [panels, K, panel_width], zero beyond its edge; C has `padded_width`
columns to match. The order of the sum over k does not depend on how rows are split into blocks, so a row's result is
the same in any block.

In all compiled code `unit` is the number 1 in the dtype of the arrays (`Rule`): it carries the dtype to where only
addresses arrive. An address is an integer, in bytes; strides count numbers.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload, register_jitable

from rnnlab.scan.fast.nonlinearities import OPTIONS


def _register_file() -> tuple[int, int]:
    """Bytes of a vector register of this CPU, and how many rows a tile may have beside its two columns of vectors."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 12
    if features.get("avx2") or features.get("avx"):
        return 32, 6
    return 16, 12 if features.get("neon") else 6


BYTES, ROWS = _register_file()
HALF = max(BYTES // 2, 16)
"""Bytes of the shortest vector: the last columns of a matrix waste less of it."""


def itemsize(unit: Any) -> int:
    """Bytes of a number of the dtype of `unit`."""
    return int(unit.itemsize)


@overload(itemsize)
def _itemsize(unit):  # type: ignore[no-untyped-def]
    size = unit.bitwidth // 8
    return lambda unit: size


@register_jitable
def address(array):  # type: ignore[no-untyped-def]
    """Address of the first number of an array."""
    return np.intp(array.ctypes.data)


@register_jitable
def panel_width(unit):  # type: ignore[no-untyped-def]
    """Columns of a panel: two vectors of numbers of the dtype of `unit`."""
    return 2 * BYTES // itemsize(unit)


@register_jitable
def padded_width(columns, unit):  # type: ignore[no-untyped-def]
    """Columns of C, for so many columns of B: the next multiple of half a vector."""
    lanes = HALF // itemsize(unit)
    return -(-columns // lanes) * lanes


def _tile(vectors: int, length: int = BYTES) -> Any:
    """The compiled tile whose columns are this many vectors of this many bytes."""

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typingctx: Any, unit: Any, rows: Any, K: Any, a: Any, a_row: Any, a_k: Any, b: Any, b_k: Any,
        start: Any, start_row: Any, c: Any, c_row: Any,
    ) -> Any:  # fmt: skip
        """C [rows, vectors] = start + A [rows, K] B [K, vectors], by addresses and strides in numbers; rows <= ROWS."""
        signature = types.void(unit, *[types.intp] * 11)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            real = context.get_value_type(signature.args[0])
            size = context.get_abi_sizeof(real)
            emit = _Tile(builder, real, size, ir.VectorType(real, length // size), vectors)
            end = builder.append_basic_block("tile.end")
            switch = builder.switch(args[1], end)
            for rows in range(1, ROWS + 1):
                block = builder.append_basic_block(f"tile.{rows}")
                switch.add_case(ir.Constant(ir.IntType(64), rows), block)
                builder.position_at_end(block)
                emit(rows, *args[2:])
                builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return tile


class _Tile:
    """Writes the loop over k for a tile of a given number of rows."""

    def __init__(self, builder: Any, real: Any, size: int, vector: Any, vectors: int) -> None:
        self.builder, self.real, self.size, self.vector, self.vectors = builder, real, size, vector, vectors
        name = f"llvm.fma.v{vector.count}f{8 * size}"
        kind = ir.FunctionType(vector, [vector] * 3)
        self.fma = cgutils.get_or_insert_function(builder.module, kind, name)

    def __call__(
        self, rows: int, K: Any, a: Any, a_row: Any, a_k: Any, b: Any, b_k: Any, start: Any, start_row: Any, c: Any,
        c_row: Any,
    ) -> None:  # fmt: skip
        builder = self.builder
        positions = [(m, n) for m in range(rows) for n in range(self.vectors)]
        into = {(m, n): self._vector_at(self._plus(c, c_row, m), n) for m, n in positions}
        before = {(m, n): self._load(self._vector_at(self._plus(start, start_row, m), n)) for m, n in positions}
        offsets = [self._plus(ir.Constant(ir.IntType(64), 0), a_row, m) for m in range(rows)]
        steps = (ir.Constant(ir.IntType(64), -1), self._plus(0, a_k, 1), self._plus(0, b_k, 1))
        entry, loop, done = builder.block, builder.append_basic_block("tile.k"), builder.append_basic_block("tile.done")
        zero = ir.Constant(ir.IntType(64), 0)
        builder.cbranch(builder.icmp_signed(">", K, zero), loop, done)

        builder.position_at_end(loop)
        moving = [builder.phi(ir.IntType(64)) for _ in steps]
        sums = {position: builder.phi(self.vector) for position in positions}
        columns = [self._load(self._vector_at(moving[2], n)) for n in range(self.vectors)]
        after: dict[tuple[int, int], Any] = {}
        for m in range(rows):
            number = self._broadcast(builder.add(moving[1], offsets[m]))
            after |= {(m, n): builder.call(self.fma, [number, columns[n], sums[m, n]]) for n in range(self.vectors)}
        moved = [builder.add(value, step) for value, step in zip(moving, steps, strict=True)]
        builder.cbranch(builder.icmp_signed(">", moved[0], zero), loop, done)
        for phi, first, following in [
            *zip(moving, (K, a, b), moved, strict=True),
            *((sums[position], before[position], after[position]) for position in positions),
        ]:
            phi.add_incoming(first, entry)
            phi.add_incoming(following, loop)

        builder.position_at_end(done)
        for position in positions:
            result = builder.phi(self.vector)
            result.add_incoming(before[position], entry)
            result.add_incoming(after[position], loop)
            before[position] = result
        for position in positions:
            builder.store(before[position], into[position], align=self.size)

    def _plus(self, address: Any, stride: Any, count: int) -> Any:
        """address + count * stride numbers."""
        by = self.builder.mul(stride, ir.Constant(ir.IntType(64), count * self.size))
        return self.builder.add(address, by) if address else by

    def _vector_at(self, address: Any, n: int) -> Any:
        pointer = self.builder.add(address, ir.Constant(ir.IntType(64), n * self.vector.count * self.size))
        return self.builder.inttoptr(pointer, self.vector.as_pointer())

    def _load(self, pointer: Any) -> Any:
        return self.builder.load(pointer, align=self.size)

    def _broadcast(self, address: Any) -> Any:
        number = self.builder.load(self.builder.inttoptr(address, self.real.as_pointer()), align=self.size)
        undefined, lanes = ir.Constant(self.vector, ir.Undefined), ir.VectorType(ir.IntType(32), self.vector.count)
        first = self.builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(lanes, [0] * self.vector.count))


_wide, _narrow, _half = _tile(2), _tile(1), _tile(1, HALF)


@intrinsic  # type: ignore[untyped-decorator]
def copy_panel_row(typingctx: Any, unit: Any, source: Any, target: Any) -> Any:
    """Copy `panel_width` numbers from one address to another."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        size = signature.args[0].bitwidth // 8
        vector = ir.VectorType(context.get_value_type(signature.args[0]), 2 * BYTES // size)
        source, target = (builder.inttoptr(address, vector.as_pointer()) for address in args[1:])
        builder.store(builder.load(source, align=size), target, align=size)
        return context.get_dummy_value()

    return types.void(unit, types.intp, types.intp), codegen


@register_jitable
def pack(B, packed, unit):  # type: ignore[no-untyped-def]
    """Copy B [K, N] (any strides) into panels, packed [panels, K, panel_width], with zeros beyond N."""
    width = panel_width(unit)
    for p in range(packed.shape[0]):
        first = p * width
        last = min(first + width, B.shape[1])
        for k in range(B.shape[0]):
            row = packed[p, k]
            for j in range(first, last):
                row[j - first] = B[k, j]
            for j in range(last - first, width):
                row[j] = unit - unit


@njit(nogil=True, cache=True, **OPTIONS)
def gemm(unit, M, N, K, a, a_row, a_k, b, start, start_row, c, c_row):  # type: ignore[no-untyped-def]
    """C [M, N] = start + A B: A [M, K] at address a, B [K, N] packed at b, C at c, N being a `padded_width`.

    a_row and a_k are the strides of A; start_row and c_row those from row to row. With start_row = 0 the start is one
    row [N], a bias; with start = c the product is added to C.
    """
    width, size = panel_width(unit), itemsize(unit)
    tiles = -(-M // ROWS)
    for j in range(0, N, width):
        row, columns = 0, b + j * K * size
        for tile in range(tiles):
            rows = (M - row + tiles - tile - 1) // (tiles - tile)
            of_a, of_c = a + row * a_row * size, c + (row * c_row + j) * size
            of_start = start + (row * start_row + j) * size
            left, done = min(N - j, width), 0
            if left == width:
                _wide(unit, rows, K, of_a, a_row, a_k, columns, width, of_start, start_row, of_c, c_row)
                done = width
            elif left >= width // 2:
                _narrow(unit, rows, K, of_a, a_row, a_k, columns, width, of_start, start_row, of_c, c_row)
                done = width // 2
            if done < left:
                at = done * size
                _half(unit, rows, K, of_a, a_row, a_k, columns + at, width, of_start + at, start_row, of_c + at, c_row)
            row += rows


@register_jitable
def matmul(unit, M, N, K, a, packed, start, start_row, c):  # type: ignore[no-untyped-def]
    """C [M, N] = start + A B, for a contiguous A [M, K] at address a."""
    gemm(unit, M, N, K, a, K, np.int64(1), packed, start, np.int64(start_row), c, N)


@register_jitable
def add_matmul_transposed(unit, M, N, K, a, packed, c, c_row):  # type: ignore[no-untyped-def]
    """C [M, N] += A^T B, for a contiguous A [K, M] at address a."""
    gemm(unit, M, N, K, a, np.int64(1), M, packed, c, c_row, c, c_row)
