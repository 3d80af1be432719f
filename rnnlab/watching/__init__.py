"""The readings of somebody else's module, in somebody else's training loop.

hooks         hooks that never raise and are never copied
layers        torch's parameters as the scan takes them
sequences     padded and packed sequences with time first
dropout       what was dropped between layers
layer_replay  one layer in one direction
replay        the gradients inside such a call, on the lab's scan
verification  whether a replay agrees with autograd
fused         nn.RNN, nn.LSTM, nn.GRU: what they take and give, and the gradients that come back
stepped       cells that are called once a timestep
modules       which modules of a model are watched
updates       norms before and after the user's clipping
recording     the run folder
    records       the records of one backward pass
session       Watch: the hooks, the updates, the beginning and the end
plain_loop    a call as a plain loop in float64, with small changes of a state carried along by differences
checked       what a check of readings found, and how it prints
check         one pass of a model, its readings held to finite differences
"""
