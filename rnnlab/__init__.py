"""rnnlab: an instrument for recurrent networks. It trains them, and measures the gradient at every timestep.

    import rnnlab

    run = rnnlab.train({"task": "addition", "model": {"cell": "lstm"}})
    run.gradients                           # a pandas frame, one row per (update, layer, state, t)
    rnnlab.sweep({"base": {"task": "addition"}, "axes": {"grid": {"model.cell": ["rnn", "lstm"]}}, "seeds": 3})
    rnnlab.load_runs("runs").metrics        # every run's, with the settings in which they differ

Nothing heavy is imported until it is used.

The packages and modules, each importing only from those above it:

    wording          text of users and of files as it stands in a message
    errors           every exception a user can meet, each with its exit code
    names            what a run may be called
    parts            what every interchangeable part has in common; tables of parts
    catalog          where every table of parts is
    column           one column of a record, as data
    progress         how far a training or a sweep is
    display          how objects show themselves in a notebook
    regular          a file read only if it is a regular one, and not too large
    plugins          parts from outside: files and modules that add to the tables
    atomic           a file written whole or not at all
    provenance       versions, commit and process that a run was made with
    machine          the memory that is free, and the processors
    interruptions    Ctrl-C and SIGTERM between two updates
    logspace         norms and percentiles of numbers that no format can hold, in NumPy
    analysis         arrays in, figures out: rate, horizon, verdict, intervals
    scan             one loop over time: a cell's rule, the general scan, the compiled one
    cells            rnn, lstm, gru
    inits            initializers of weights and biases
    tasks            what is learned
    probes           what is measured, and at which updates
    penalties        terms that are added to the loss for their gradient
    clips            what is done to a gradient before the update
    torch_optim      an update of torch.optim with less around it
    optimizers       torch.optim's, with their options
    config           one experiment described, from YAML to a checked Config
    runs             one run on disk, written and read
    compare          many runs: chosen, grouped, measured
    network          stacked parameters, and where the loss reads
    gradients        one pass forward and back, and what is read off it
    training         from a config to a finished run
    testing          the laws that a part keeps, as functions for tests
    watching         the same readings of another module in another loop
    sweeps           many runs carried out
    report           findings, and their forms: terminal, figures, page, export
    cli              the commands; the only place that prints or exits
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from rnnlab.compare.collection import Runs, load_runs
    from rnnlab.config import Config, load_config
    from rnnlab.config.load import Source
    from rnnlab.plugins import load_plugin
    from rnnlab.probes.schedules import Schedule
    from rnnlab.runs.run import Run
    from rnnlab.sweeps.engines import Engine
    from rnnlab.sweeps.results import SweepCallback, SweepResult
    from rnnlab.training.loop import MessageCallback, ProgressCallback
    from rnnlab.watching.checked import Check
    from rnnlab.watching.session import Watch

__version__ = "0.1.0"
__all__ = [
    "Config",
    "Run",
    "Runs",
    "__version__",
    "check",
    "load_config",
    "load_plugin",
    "load_runs",
    "sweep",
    "train",
    "watch",
]

_HOMES = {
    "Config": "rnnlab.config",
    "load_config": "rnnlab.config",
    "load_plugin": "rnnlab.plugins",
    "Run": "rnnlab.runs.run",
    "Runs": "rnnlab.compare.collection",
    "load_runs": "rnnlab.compare.collection",
}


def train(
    config: Source,
    *,
    sets: Iterable[str] = (),
    out: str | PathLike[str] = "runs",
    force: bool = False,
    resume: bool = False,
    force_memory: bool = False,
    allow_plugins: bool = False,
    observe: ProgressCallback = lambda progress: None,
    notify: MessageCallback = lambda message: None,
) -> Run:
    """Train the network that a Config, a mapping or a YAML file describes, and give back its run.

    sets: changes such as `"model.hidden=50"`.
    out: the folder that the run's folder is made in. A run without a name gets one that is free.
    force: replace a run of the same name.
    resume: go on with the unfinished run of that name, from its last checkpoint.
    force_memory: train even if the machine seems to have too little memory for it.
    allow_plugins: load what `plugins` in the config names, which is code that then runs.
    observe: called with a `rnnlab.progress.Progress`, ten times a second at most, and after the last update.
    notify: called with messages, such as that the scan is being compiled.

    Raises, before anything is written: ConfigError with everything that is wrong with the config; RunExistsError where
    the name is taken or another process trains that run; RunFolderError where the folder cannot be used, or resumed;
    UsageError for what cannot be done as asked (NotEnoughMemoryError among them); DataMissingError,
    DataFormatError and DeviceMissingError. Later on, RunFailedError when the run cannot go on (a full disk); what it
    wrote is kept. A run that diverges is a result.
    """
    from rnnlab.config import load_config
    from rnnlab.training.loop import train

    described = load_config(config, sets, allow_plugins=allow_plugins)
    return train(
        described, out=out, force=force, resume=resume, force_memory=force_memory, observe=observe, notify=notify
    )


def sweep(
    source: Source,
    *,
    sets: Iterable[str] = (),
    only: Sequence[str] = (),
    out: str | PathLike[str] = "runs",
    engine: str | Engine | None = None,
    workers: int | None = None,
    address: str | None = None,
    fleets: bool = True,
    retry_failed: bool = False,
    max_runs: int | None = None,
    force_memory: bool = False,
    allow_plugins: bool = False,
    on_event: SweepCallback = lambda event: None,
) -> SweepResult:
    """Train the runs of a sweep, a YAML file or a mapping with `base`, `axes` and `seeds`, that are not trained yet.

    sets: changes of the base, or `"seeds=3"`. only: conditions on the runs to train, such as `"model.cell=lstm"`.
    out: the folder that the runs are in, and are made in.
    engine: inline, local or ray, or an Engine; without one, several fleets train in a process each, and one fleet here.
    workers: how many fleets train at once. address: where the Ray cluster is.
    fleets: whether runs of one shape train together.
    retry_failed: train those that failed once more. max_runs: train so many at most.
    force_memory: train even if the machine seems to have too little memory for it.
    allow_plugins: load what `plugins` in the file names, which is code that then runs.
    on_event: called with a `rnnlab.sweeps.results.SweepEvent` for whatever happens.

    Raises, before anything is trained: ConfigError with everything that is wrong; UsageError for an engine that there
    is not, or that cannot do what is asked, and NotEnoughMemoryError; RunFolderError, DataMissingError,
    DataFormatError and DeviceMissingError.
    Later on, RunFailedError when the system refuses (a full disk); what is trained by then is kept, and the same call
    goes on with the rest. Runs that fail by themselves are listed in the result, and raise nothing.
    """
    from rnnlab.sweeps.driver import train_sweep
    from rnnlab.sweeps.engines import Engine, engine_of
    from rnnlab.sweeps.file import load_sweep, narrowed
    from rnnlab.sweeps.results import SweepOptions

    chosen = engine if isinstance(engine, Engine) else engine_of(engine, workers=workers, address=address)
    options = SweepOptions(out, fleets, retry_failed, max_runs, ("rnnlab.sweep",), force_memory)
    described = narrowed(load_sweep(source, sets, allow_plugins=allow_plugins), only)
    return train_sweep(described, chosen, options, on_event)


def watch(
    model: nn.Module,
    out: str | PathLike[str],
    *,
    optimizer: Optimizer,
    every: int | Sequence[int] | Schedule = 10,
    settings: Mapping[str, Any] = MappingProxyType({}),
    cells: Iterable[type[nn.Module]] | None = None,
    states: Callable[[Any], Mapping[str, Tensor]] | None = None,
    scaler: Any = None,
    check_inputs_every: int = 10,
    force: bool = False,
) -> Watch:
    """Record the total gradient at every timestep of a model's recurrent modules while your own loop trains it.

    The result is a run like any other, for `rnnlab show`, `ls` and `report`. Nothing in the training changes, bit for
    bit. See docs/WATCH.md.

    model: with nn.RNN, nn.LSTM or nn.GRU in it, or cells that are called once a timestep.
    out: the folder of the run, such as `runs/mine`.
    optimizer: whose steps are the updates.
    every: every n-th update is recorded; or a list of updates, or a schedule.
    settings: what the run is compared by, such as `{"lr": 1e-3, "seed": 3}`.
    cells: further types of modules that are called once a timestep. states: from what such a module gives to its
    states by name, `{"h": ..., "c": ...}`; without it a tensor is h, and a pair h and c.
    scaler: the GradScaler of mixed precision, whose factor is divided out.
    check_inputs_every: every so many records the gradient of each timestep is compared with the layer's own autograd,
    beside the comparison of dL/dW_hh that each record undergoes.
    force: replace a run of that name.

    Raises UsageError for a model that cannot be watched, with the way out; RunExistsError and RunFolderError. Later
    nothing is raised: an error is said once, and ends the recording with its rows kept.
    """
    from pathlib import Path

    from rnnlab.watching.session import Watch
    from rnnlab.watching.stepped import states_of_output
    from rnnlab.watching.updates import schedule_of

    return Watch(
        model,
        Path(out),
        optimizer=optimizer,
        schedule=schedule_of(every),
        settings=settings,
        cells=None if cells is None else tuple(cells),
        states=states or states_of_output,
        scaler=scaler,
        check_inputs_every=check_inputs_every,
        force=force,
    )


def check(
    model: nn.Module, batch: Any, loss: Callable[[Any], Tensor], *, timesteps: Sequence[int] | None = None
) -> Check:
    """Hold the total gradients that rnnlab reads in a model's recurrent modules to finite differences, in one pass.

        print(rnnlab.check(model, x, lambda output: cross_entropy(output, labels)))

    A line for each nn.RNN, nn.LSTM and nn.GRU, layer and direction: dL/dh_t as `retain_grad` on the module's output
    has it (the direct part alone), the total that rnnlab reads, and whether the total is right. For that a plain loop
    in float64 is run over what the module took: its adjoint must have the norm that was read, and its product with a
    random direction must be what central differences give when h_t is moved that way and every later timestep is run
    again, the difference being brought to one size at each. The gradient that the rest of the model sends back to the
    module's output is autograd's. The cell state of an LSTM is not checked, nor are cells outside such modules.

    model: its gradients, hooks, mode and the random state stay what they are, since a copy of it is run.
    batch: what the model is called with, a tensor or a tuple of arguments.
    loss: from what the model gives to a tensor of one number.
    timesteps: those that are looked at; without it the first, the middle and the last.

    The result has `agrees`, and `layers` with all the figures. A gradient beyond what float64 holds is not compared,
    and the line says so. Raises UsageError for a model that cannot be checked.
    """
    from rnnlab.watching.check import check

    return check(model, batch, loss, timesteps)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnlab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
