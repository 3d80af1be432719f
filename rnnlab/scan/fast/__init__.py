"""The compiled scan on the CPU: one loop over time with a cell's rule inside it.

disk_cache          where compiled loops are kept
unique_names        names of compiled functions that no other rule's have
nonlinearities      exp, sigmoid and tanh as polynomials that LLVM vectorizes
gemm                matrix products inside compiled code
scaled_rows         rows of a gradient, each with its power of two
layer_arrays        the arrays of one layer, grouped
blocks              the pieces of one timestep, on a block of rows
weight_gradients    dL/dW summed while the scan goes back
kernels             the loop over time, forward and back
direct              the direct gradient at the read-out timesteps
norms               norms and percentiles over a batch
threads             blocks of rows dealt out to threads
layer_scan          one layer's scan: its arrays, and the loops over them
scan                the scan itself: forward, backward, direct
"""

from rnnlab.scan.fast.disk_cache import settle_cache

# Before any module here decorates a loop.
settle_cache()
