"""The scan on CUDA, in Triton. `limits`, which says whether and how the rest can run, needs no Triton.

limits         what a device must have, and which sizes run how
powers         exponents and powers of two of rows inside kernels
activations    sigmoid and tanh inside kernels
rnn_rule       one timestep of the simple recurrent network, forward and back
lstm_rule      of the LSTM
gru_rule       of the GRU
rules          the table of them
gate_blocks    a block of rows for each gate: read, written, multiplied
timestep       one timestep back, on a block of rows with an exponent each
resident       the loop over time inside the kernel, with the weights resident
stepwise       one timestep a kernel, with the products by torch, for layers too large for that
weight_sums    weight gradients after the loop
triton_scan    the scan itself: forward and backward
"""
