"""One pass of a network forward and back, and what is read off it.

head             read-out and loss in closed form
compiled_head    the same as compiled code, block by block
direct           what reaches a state through the read-out alone
norm_tables      norms and percentiles of gradients, by timestep; what the number format lost
pass_base        what all kinds of pass have in common
compiled_pass    forward and back on the compiled scan
compiling        its loops, compiled once on a machine
autograd_pass    forward and back by autograd over the cell's definition
fused_layers     a network on torch's fused layers
fused_pass       forward and back by torch's fused layers
triton_pass      forward and back on the scan in Triton
passes           the kinds of pass, side by side
triton_check     whether the scan in Triton is right on this device
own_lag          the same by lag from each sample's own read-out
readings         the rows of gradients.csv
unrolled         passes in float64 that keep every row, for probes
view             what a probe may look at
clipping         clips of a fleet, each replica's own
"""
