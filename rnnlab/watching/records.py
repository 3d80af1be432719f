"""The records of one backward pass: what came back to each watched module, read, checked and written."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from rnnlab.watching import verification
from rnnlab.watching.fused import CalledOnce, FusedModule
from rnnlab.watching.layers import directions_of
from rnnlab.watching.recording import Recording, Series
from rnnlab.watching.replay import Replayed
from rnnlab.watching.stepped import SteppedModule, columns_of
from rnnlab.watching.updates import UpdateFigures


def begin_series(recording: Recording, fused: Iterable[FusedModule], stepped: Iterable[SteppedModule]) -> None:
    """Number what each module gives at its first call of an update, whichever is called first."""
    for module in fused:
        for index in range(module.module.num_layers):
            # Forward last: readers take the highest number where they are not told which.
            for reverse in reversed(range(directions_of(module.module))):
                recording.number_of(Series(module.name, index, bool(reverse), 0, 0))
    for cell in stepped:
        recording.number_of(Series(cell.name, 0, False, 0, 0))


def read_fused(
    fused: FusedModule, recording: Recording, figures: UpdateFigures, scale: float, check_inputs_every: int
) -> None:
    """Replay the calls of a module that the pass came back to, check them against autograd, and write their rows.

    scale: what the loss was multiplied with (mixed precision). check_inputs_every: records between two comparisons of
    single timesteps.
    """
    calls, replays, passed = fused.called(), list[Replayed](), list[dict[str, Tensor]]()
    if not calls:
        return
    tolerance = verification.tolerance(calls[0].call)
    checks_inputs = recording.records % check_inputs_every == 0
    for called in calls:
        arrived = dict(called.arrived)
        if scale != 1:
            arrived = {name: gradient.double() / scale for name, gradient in arrived.items()}
        replayed = fused.replay.run(called.call, arrived, wants_dx=checks_inputs)
        _write_call(fused, called, replayed, recording, figures)
        figures.add_check(verification.deviation_of_states(called.call, replayed), tolerance)
        if checks_inputs:
            figures.add_check(verification.deviation_of_layer(called.call, arrived, replayed), tolerance)
        passed.append(arrived)
        replays.append(replayed)
    of_weights = {index: gradient / scale for index, gradient in fused.of_weights.items()}
    deviation = verification.deviation_of_weights(replays, of_weights)
    if of_weights and deviation <= tolerance:
        figures.add_check(deviation, tolerance)
    elif not checks_inputs:
        # The user's gradient of W_hh may be more than that of these calls: of a penalty, changed by a hook, of a weight
        # that two modules share; or W_hh is frozen and has none. The layer itself, called again, has none of that.
        for called, arrived in zip(calls, passed, strict=True):
            replayed = fused.replay.run(called.call, arrived, wants_dx=True)
            figures.add_check(verification.deviation_of_layer(called.call, arrived, replayed), tolerance)
    figures.offset = calls[0].offset


def _write_call(
    fused: FusedModule, called: CalledOnce, replayed: Replayed, recording: Recording, figures: UpdateFigures
) -> None:
    assert called.number is not None
    for number, columns in enumerate(replayed.columns):
        index, reverse = divmod(number, directions_of(fused.module))
        series = Series(fused.name, index, bool(reverse), called.number, figures.backwards)
        for state, of_state in columns.items():
            t = np.arange(len(of_state["norm"]))
            recording.write_rows(figures.update, series, state, t, t if reverse else t[::-1], of_state)


def read_stepped(stepped: SteppedModule, recording: Recording, figures: UpdateFigures, scale: float) -> None:
    """Write the rows of the sequences that the pass came back to, and count the timesteps that it did not reach."""
    for sequence in stepped.called():
        assert sequence.number is not None
        series = Series(stepped.name, 0, False, sequence.number, figures.backwards)
        for state in dict.fromkeys(name for name, _ in sequence.arrived):
            t, columns = columns_of(sequence, state, 1 / scale)
            recording.write_rows(figures.update, series, state, t, sequence.timesteps - 1 - t, columns)
            figures.cut += sequence.timesteps - len(t)
