"""For TensorBoard: an event file a run, with scalars, curves as images, and the config as hyperparameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnlab.report.exporters.base import Exporter
from rnnlab.report.exporters.content import RunContent
from rnnlab.report.exporters.curve_figures import curve_figures
from rnnlab.report.exporters.file_names import file_names

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

_LAST = ("loss", "error", "eval_loss", "eval_error")
"""The scalars that stand beside the hyperparameters."""


class TensorBoard(Exporter):
    """An event file a run, for TensorBoard, which holds every number in 32 bits.

    >>> from rnnlab.report.exporters import EXPORTERS
    >>> EXPORTERS["tensorboard"].command
    'tensorboard --logdir {folder}'
    """

    name: ClassVar[str] = "tensorboard"
    packages: ClassVar[tuple[str, ...]] = ("tensorboard", "matplotlib")
    command: ClassVar[str] = "tensorboard --logdir {folder}"

    def write(self, runs: Iterable[RunContent], folder: Path, place: Path) -> None:
        """A folder a run, in which TensorBoard finds it by name."""
        from tensorboard.summary.writer.record_writer import RecordWriter

        free = file_names()
        for run in runs:
            path = folder / free(run.name)
            path.mkdir()
            # The writer of torch and of tensorboard itself writes in a thread, and waits for ever on a full disk.
            with (path / "events.out.tfevents.0.rnnlab").open("wb") as file:
                records = RecordWriter(file)
                for event in _events(run):
                    records.write(event.SerializeToString())
                records.flush()


def _events(run: RunContent) -> Iterator[Event]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_config_pb, hparams_pb

    metrics = [scalars.name for scalars in run.scalars if scalars.name in _LAST]
    start = float(run.milliseconds(_first())[0]) / 1000
    yield Event(wall_time=start, file_version="brain.Event:2")
    values = _hyperparameters(run.settings)
    yield Event(wall_time=start, summary=hparams_config_pb(hparams=_described(values), metrics=_metrics(metrics)))
    yield Event(wall_time=start, summary=hparams_pb(values, trial_id=run.name, start_time_secs=start))
    for scalars in run.scalars:
        times = run.milliseconds(scalars.updates)
        for update, value, at in zip(scalars.updates.tolist(), scalars.values.tolist(), times.tolist(), strict=True):
            summary = Summary(value=[Summary.Value(tag=scalars.name, simple_value=value)])
            yield Event(wall_time=at / 1000, step=update, summary=summary)
    yield from _images(run, start)


def _images(run: RunContent, start: float) -> Iterator[Event]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    for name, png in curve_figures(run):
        # Width and height stand in the header of a PNG.
        width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        yield Event(wall_time=start, step=0, summary=Summary(value=[Summary.Value(tag=name, image=image)]))


def _first() -> Any:
    import numpy as np

    return np.zeros(1, np.int64)


def _hyperparameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, booleans and texts as they are, which is all that there may be; anything else as text."""
    return {
        key: value if isinstance(value, bool | int | float | str) else str(value) for key, value in settings.items()
    }


def _described(values: Mapping[str, Any]) -> list[Any]:
    from tensorboard.plugins.hparams.summary_v2 import HParam

    return [HParam(key) for key in values]


def _metrics(names: Iterable[str]) -> list[Any]:
    from tensorboard.plugins.hparams.summary_v2 import Metric

    return [Metric(name) for name in names]
