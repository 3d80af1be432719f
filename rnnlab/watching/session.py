"""Watch a model in a training loop that somebody else wrote."""

from __future__ import annotations

import atexit
import functools
import logging
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd import Variable

from rnnlab.errors import RunFailedError, UsageError
from rnnlab.probes.schedules import Schedule
from rnnlab.runs.run import Run
from rnnlab.scan.fast import scan as fast
from rnnlab.scan.fast.threads import own_threads
from rnnlab.watching import modules
from rnnlab.watching.fused import FusedModule
from rnnlab.watching.hooks import Hook
from rnnlab.watching.layers import cell_of, dtype_of, weights_of
from rnnlab.watching.recording import Recording
from rnnlab.watching.records import begin_series, read_fused, read_stepped
from rnnlab.watching.stepped import States, SteppedModule, states_of_output
from rnnlab.watching.updates import UpdateFigures, gradient_norm, learning_rate, name_of_column, number_of

_log = logging.getLogger("rnnlab")


class Watch:
    """Reads the total gradient at every timestep of the recurrent modules of a model while its own loop trains it.

    It changes nothing: weights, random state and gradients are bit for bit those of the loop without it. An error in
    it is said once, ends the recording with its rows kept, and never stops the loop. Made by `rnnlab.watch`.

    >>> import rnnlab
    >>> model = torch.nn.GRU(2, 8)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with rnnlab.watch(model, "runs/mine", optimizer=optimizer, every=1) as watch:
    ...     model(torch.ones(30, 4, 2))[1].sum().backward()
    ...     optimizer.step()
    >>> watch.run.status, len(watch.run.curve())
    ('completed', 30)
    """

    def __init__(
        self,
        model: nn.Module,
        path: Path,
        *,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        settings: Mapping[str, Any],
        cells: Iterable[type[nn.Module]] | None,
        states: States,
        scaler: Any,
        check_inputs_every: int,
        force: bool,
    ) -> None:
        modules.check_model(model)
        if not hasattr(optimizer, "register_step_pre_hook"):
            raise UsageError(f"optimizer must be a torch.optim.Optimizer, not {type(optimizer).__name__}")
        self._optimizer, self._schedule, self._scaler = optimizer, schedule, scaler
        self._check_inputs_every = check_inputs_every
        both = self._backward_begins, self._hook
        fused, of_cells = modules.fused_modules(model), modules.cell_modules(model, cells or ())
        modules.check_not_compiled(model, [*fused, *of_cells])
        self._callers = modules.compiled_alone(model)
        self._fused = [FusedModule(name, module, *both) for name, module in fused]
        self._stepped = [
            (SteppedModule(name, states, *both, of_torch=isinstance(module, nn.modules.rnn.RNNCellBase)), module)
            for name, module in of_cells
        ]
        self._named: dict[str, SteppedModule] = {}
        if not self._fused and not self._stepped and cells is None:
            raise UsageError(
                "the model has no nn.RNN, nn.LSTM, nn.GRU or cell of torch; name your own with cells=[MyCell], "
                "or give cells=[] and name states in the loop with watch.state"
            )
        for cell, dtype in {(cell_of(module), dtype_of(weights_of(module))) for _, module in fused}:
            rule = cell.rule()
            assert rule is not None
            fast.prepare(rule, dtype)
        parameters = sum(p.numel() for p in model.parameters())
        about = {"watch": {}, "device": modules.device_of(model), "scan": "replay", "parameters": parameters}
        self._recording = Recording(path, {**modules.described(model, optimizer), **settings}, about, force=force)
        self._begun, self._process = time.perf_counter(), os.getpid()
        self.closed = False
        self.update = 0
        """Updates that the optimizer has made."""
        self._called = False
        """Whether a module was called for the update under way."""
        self._begin_update()
        self._pending: UpdateFigures | None = None
        self._in_backward = False
        begin_series(self._recording, self._fused, self._recurrences())
        before, after = self._hook(self._before_step), self._hook(self._after_step)
        self._handles = [*self._module_hooks(), optimizer.register_step_pre_hook(before)]
        self._handles.append(optimizer.register_step_post_hook(after))
        atexit.register(self._at_exit)

    # What the user calls.

    @property
    def run(self) -> Run:
        """The run as it is on disk now."""
        return Run(self._recording.dir.path)

    def log(self, **values: float | Tensor) -> None:
        """Figures of the last update for metrics.csv, such as `loss` and `error`; the first row decides the columns."""
        self._hook(self._log)(values)

    def _log(self, values: dict[str, float | Tensor]) -> None:
        if self.closed:
            return
        numbers = {name_of_column(name): number_of(value) for name, value in values.items()}
        if self._called or self._figures.backwards:
            # The update under way, before or after its backward pass; its row is written if it is due.
            self._figures.logged |= numbers
        elif self._pending is not None:
            self._pending.logged |= numbers

    def state(self, name: str, state: Tensor, *, first: bool = False) -> None:
        """Name the next state of a recurrence that no module computes, once a timestep; `first` begins a sequence."""
        self._hook(self._state)(name, state, first)

    def _state(self, name: str, state: Tensor, first: bool) -> None:
        self._called = self._called or state.requires_grad
        if self._due and not self.closed and state.requires_grad:
            if name not in self._named:
                self._named[name] = SteppedModule(name, states_of_output, self._backward_begins, self._hook)
            self._named[name].add({"h": state}, continues=not first)

    def close(self) -> None:
        """End the recording and take every hook away. What comes after is not recorded."""
        self._hook(self._close)("completed", "closed by its program")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self._hook(self._close)("interrupted", f"{type(error).__name__}: {error}".rstrip(": "))

    def __deepcopy__(self, memo: object) -> Watch:
        return self

    # Hooks.

    def _module_hooks(self) -> list[Any]:
        # They come first, so that what a user's own hooks make of an output is not taken for the module's.
        handles: list[Any] = []
        hooked: list[tuple[Any, nn.Module, Any]] = [(fused, fused.module, self._after_call) for fused in self._fused]
        hooked += [(stepped, module, self._after_timestep) for stepped, module in self._stepped]
        for watched, module, after in hooked:
            called = self._callers.get(module, module)
            # A single layer drops nothing between layers, and a hook costs time at every update.
            if isinstance(watched, FusedModule) and watched.module.num_layers > 1:
                before = self._hook(functools.partial(self._before_call, watched))
                handles.append(called.register_forward_pre_hook(before))
            hook = self._hook(functools.partial(after, watched))
            handles.append(called.register_forward_hook(hook, with_kwargs=True, prepend=True))
        return handles

    def _hook(self, function: Any) -> Hook:
        return Hook(function, self._failed)

    def _before_call(self, fused: FusedModule, *_: Any) -> None:
        self._forget_failed_backward()
        if self._due:
            fused.before_call()

    def _after_call(self, fused: FusedModule, module: nn.Module, arguments: Any, keywords: Any, given: Any) -> None:
        self._note_call(module)
        self._forget_failed_backward()
        fused.after_call(arguments, keywords, given, due=self._due)

    def _after_timestep(
        self, stepped: SteppedModule, module: nn.Module, arguments: Any, keywords: Any, given: Any
    ) -> None:
        self._note_call(module)
        self._forget_failed_backward()
        if self._due:
            stepped.after_call(arguments, keywords, given)

    def _note_call(self, module: nn.Module) -> None:
        # An evaluation between two updates is none of the next one.
        self._called = self._called or (module.training and torch.is_grad_enabled())

    def _forget_failed_backward(self) -> None:
        """Forget a backward pass that an error ended, at which autograd does not call back."""
        if self._in_backward and torch._C._current_graph_task_id() == -1:
            self._in_backward = False
            for watched in self._watched():
                watched.forget(update=False)

    def _backward_begins(self) -> None:
        if not self._in_backward:
            self._in_backward = True
            # Called when all gradients of this pass have arrived.
            Variable._execution_engine.queue_callback(self._hook(self._end_of_backward))

    @torch.no_grad()
    def _end_of_backward(self) -> None:
        self._in_backward = False
        if self.closed:
            return
        figures, norm = self._figures, gradient_norm(self._optimizer)
        scale = 1.0 if self._scaler is None else float(self._scaler.get_scale())
        figures.norm = None if norm is None else norm / scale
        with own_threads():
            for fused in self._fused:
                read_fused(fused, self._recording, figures, scale, self._check_inputs_every)
                fused.forget(update=False)
        for stepped in self._recurrences():
            read_stepped(stepped, self._recording, figures, scale)
            stepped.forget(update=False)
        figures.backwards += 1

    def _before_step(self, *_: Any) -> None:
        if self._due:
            self._figures.norm_clipped = gradient_norm(self._optimizer)
            self._figures.lr = learning_rate(self._optimizer)

    def _after_step(self, *_: Any) -> None:
        self._forget_failed_backward()
        self._write_pending()
        if self._due:
            self._pending = self._figures
            for watched in self._watched():
                watched.forget(update=True)
            norm = self._figures.norm_clipped
            self._recording.nonfinite += norm is not None and not math.isfinite(norm)
        self.update += 1
        self._begin_update()

    def _begin_update(self) -> None:
        self._due = self._schedule.due(self.update)
        self._figures = UpdateFigures(self.update)
        self._called = False

    def _watched(self) -> Sequence[FusedModule | SteppedModule]:
        return [*self._fused, *self._recurrences()]

    def _recurrences(self) -> Sequence[SteppedModule]:
        return [*(stepped for stepped, _ in self._stepped), *self._named.values()]

    def _write_pending(self) -> None:
        if self._pending is not None:
            figures, self._pending = self._pending, None
            self._recording.write_metrics(figures.row(time.perf_counter() - self._begun))

    def _failed(self, error: Exception) -> None:
        """Say it once, and end the recording."""
        if self.closed:
            return
        known = isinstance(error, (UsageError, RunFailedError))
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        _log.warning("rnnlab.watch ends its recording at update %d, and the training goes on: %s", self.update, reason)
        try:
            self._close("failed", reason)
        except Exception as second:  # on a full disk nothing can be written about it either
            _log.debug("the recording could not be closed: %s", second)

    def _close(self, status: str, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        atexit.unregister(self._at_exit)
        for handle in self._handles:
            handle.remove()
        for watched in self._watched():
            watched.forget(update=True)
        recording = self._recording
        try:
            self._write_pending()
        except RunFailedError as error:
            # The last row has no room; what is before it is kept.
            status, reason = "failed", str(error)
        if status == "completed" and recording.is_empty:
            reason = f"no gradient came back to a watched module; {modules.COMPILED}"
        recording.finish(status, reason, self.update, time.perf_counter() - self._begun)
        if warning := recording.warning(reason):
            _log.warning("%s: %s", recording.dir.path, warning)

    def _at_exit(self) -> None:
        if os.getpid() == self._process:
            self._hook(self._close)("interrupted", "its program ended before close()")
