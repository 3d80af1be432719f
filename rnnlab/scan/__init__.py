"""One loop over time, forward and back.

thresholds    from which size on a number gets an exponent, and why
scaled       numbers with a power of two, for tensors
pointwise    the nonlinearities of a rule in NumPy, on a run of numbers
rule         what the compiled scan needs to know of a cell
layer        the parameters of one layer
recurrent    the recurrent parameters as a cell's own step reads them
general      any cell's definition over time, on any device
general_backward  its way back, with an exponent a row
state_map    one timestep as a map of states, and its derivatives
fast         the compiled scan, on the CPU
cuda         the same on a GPU, in Triton
"""
