"""One pass of a network forward and back, and what is read off it.

head        read-out and loss in closed form
passes      forward, loss, and back to every parameter and timestep
direct      what reaches a state through the read-out alone
readings    the rows of gradients.csv
view        what a probe may look at
clipping    clips of a fleet, each replica's own
"""
