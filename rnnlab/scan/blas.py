"""A general matrix product that compiled code can call: C <- alpha A B + beta C, by BLAS, on one thread.

Numba's own np.dot cannot accumulate and checks its arguments each time. torch's wheel on x86 carries MKL and exports
its sgemm and dgemm, so no second BLAS is loaded; elsewhere SciPy's is taken. Both are called by address (an integer
argument), which leaves the compiled code cacheable on disk.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic


class Blas(NamedTuple):
    """Where the products come from."""

    name: str
    sgemm: int
    dgemm: int
    library: ctypes.CDLL | None

    def address(self, dtype: np.dtype[Any]) -> int:
        """The address of the product for float32 or float64."""
        return self.sgemm if dtype == np.float32 else self.dgemm

    def one_thread(self) -> None:
        """Keep products started from the calling thread, torch's own among them, on that thread."""
        import torch

        # torch sets a thread's count when the thread first computes; after this it leaves it alone.
        torch.get_num_threads()
        if self.library is not None:
            self.library.omp_set_num_threads(ctypes.c_int(1))
            self.library.MKL_Set_Num_Threads_Local(ctypes.c_int(1))


@functools.cache
def find_blas() -> Blas:
    """torch's MKL where it exports its products, else SciPy's BLAS."""
    return torch_blas() or scipy_blas()


def torch_blas() -> Blas | None:
    """The products of the MKL inside torch, where there is one and it is visible."""
    import torch

    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        library.MKL_Set_Num_Threads_Local, library.omp_set_num_threads  # noqa: B018  AttributeError where there is none
        return Blas("torch's MKL", _address(library.sgemm_), _address(library.dgemm_), library)
    except (OSError, AttributeError):
        return None


def scipy_blas() -> Blas:
    """The products that SciPy carries; they may use threads of their own."""
    single, double = (get_cython_function_address("scipy.linalg.cython_blas", name) for name in ("sgemm", "dgemm"))
    return Blas("SciPy's BLAS", single, double, None)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@intrinsic  # type: ignore[untyped-decorator]
def gemm(
    typingctx: Any, address: Any, transposed: Any, m: Any, n: Any, k: Any, a: Any, b: Any, ldb: Any, beta: Any, c: Any
) -> Any:
    """C [m, n] <- A [m, k] B [k, n] + beta C, row-major; with `transposed`, B is stored [n, k] with row stride ldb.

    `a`, `b` and `c` are the addresses of the first elements (`array.ctypes.data`); A and C are dense. Fortran's gemm
    reads row-major arrays as their transposes, so what is computed is C^T = B^T A^T.
    """
    if not isinstance(beta, types.Float):
        return None
    signature = types.void(
        types.intp,
        types.boolean,
        types.int32,
        types.int32,
        types.int32,
        types.intp,
        types.intp,
        types.int32,
        beta,
        types.intp,
    )

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address, transposed, m, n, k, a, b, ldb, beta, c = args
        char = ir.IntType(8)
        real = context.get_value_type(signature.args[8])

        def slot(value: Any) -> Any:
            return cgutils.alloca_once_value(builder, value)

        trans_b = slot(builder.select(transposed, ir.Constant(char, ord("T")), ir.Constant(char, ord("N"))))
        trans_a = slot(ir.Constant(char, ord("N")))
        one, beta = slot(ir.Constant(real, 1.0)), slot(beta)
        m, n, k, ldb = slot(m), slot(n), slot(k), slot(ldb)
        a, b, c = (builder.inttoptr(pointer, real.as_pointer()) for pointer in (a, b, c))
        arguments = [trans_b, trans_a, n, m, k, one, b, ldb, a, k, beta, c, n]
        function = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        builder.call(builder.inttoptr(address, function.as_pointer()), arguments)
        return context.get_dummy_value()

    return signature, codegen
