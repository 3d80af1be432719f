"""The table of rules in Triton, by the name that the cell's own rule has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rnnlab.scan.cuda import gru_rule, lstm_rule, rnn_rule


class TritonRule(NamedTuple):
    """One timestep of a cell on blocks of rows [ROWS, HP]; a pre-activation is a tuple of blocks, one a gate.

    forward(gx, gh, h_prev, c_prev) gives h, c and what the way back needs, the gates first. backward(dh, dc, saved,
    h_prev, c_prev) gives dgx, dgh, the total dL/dc_t, and the pointwise parts of dL/dh_{t-1} and dL/dc_{t-1}. What
    they mean, and how many blocks there are of each, is said by the cell's `Rule` of this name (`scan/rule.py`). A
    cell without a second state hands c on as it came.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]


TRITON_RULES = {
    "rnn-tanh": TritonRule(rnn_rule.tanh_forward, rnn_rule.tanh_backward),
    "rnn-relu": TritonRule(rnn_rule.relu_forward, rnn_rule.relu_backward),
    "rnn-sigmoid": TritonRule(rnn_rule.sigmoid_forward, rnn_rule.sigmoid_backward),
    "rnn-linear": TritonRule(rnn_rule.linear_forward, rnn_rule.linear_backward),
    "lstm": TritonRule(lstm_rule.forward, lstm_rule.backward),
    "gru": TritonRule(gru_rule.forward, gru_rule.backward),
}
