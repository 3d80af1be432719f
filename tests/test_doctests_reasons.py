"""Public classes whose docstring has no example, each with the reason, from `errors` to `config` and in `training`."""

from __future__ import annotations

from importlib import import_module

import pytest

EXCEPTION = "an exception: it is raised, not made"
ABSTRACT = "abstract: its subclasses have examples"
PROTOCOL = "a protocol: whatever has its methods is one"

RUNS_NO_EXAMPLE = {
    "rnnlab.errors.RnnlabError": EXCEPTION,
    "rnnlab.errors.UsageError": EXCEPTION,
    "rnnlab.errors.RunExistsError": EXCEPTION,
    "rnnlab.errors.RunFolderError": EXCEPTION,
    "rnnlab.errors.RunFailedError": EXCEPTION,
    "rnnlab.errors.DivergedError": EXCEPTION,
    "rnnlab.errors.SomeFailedError": EXCEPTION,
    "rnnlab.errors.DataMissingError": EXCEPTION,
    "rnnlab.errors.DataFormatError": EXCEPTION,
    "rnnlab.errors.DeviceMissingError": EXCEPTION,
    "rnnlab.parts.HasKey": PROTOCOL,
    "rnnlab.parts.Part": ABSTRACT,
    "rnnlab.cells.base.Cell": ABSTRACT,
    "rnnlab.clips.Clip": ABSTRACT,
    "rnnlab.config.sections.Section": ABSTRACT,
    "rnnlab.inits.base.Init": ABSTRACT,
    "rnnlab.inits.base.WeightInit": ABSTRACT,
    "rnnlab.optimizers.OptimizerPart": ABSTRACT,
    "rnnlab.probes.base.Probe": ABSTRACT,
    "rnnlab.probes.base.View": PROTOCOL,
    "rnnlab.probes.schedules.Schedule": ABSTRACT,
    "rnnlab.tasks.base.Source": ABSTRACT,
    "rnnlab.tasks.base.Task": ABSTRACT,
    "rnnlab.tasks.generated.Generated": ABSTRACT,
    "rnnlab.tasks.generated.Marked": ABSTRACT,
    "rnnlab.tasks.generated.Stretched": ABSTRACT,
    "rnnlab.tasks.temporal_order.Ordered": ABSTRACT,
    "rnnlab.training.fleet.BatchGradients": "made by Fleet.update, which the example of Fleet calls",
    "rnnlab.training.recorder.Recorder": "writes a run's folder; rnnlab.train makes one",
    "rnnlab.training.start.Start": "made by rnnlab.train and by sweeps",
}


@pytest.mark.parametrize("name", RUNS_NO_EXAMPLE)
def test_a_class_with_a_reason_is_there_and_has_no_example(name: str) -> None:
    module, _, cls = name.rpartition(".")
    assert ">>>" not in (getattr(import_module(module), cls).__doc__ or "")
