"""The folder of a run: the names of its files, and how it is made and replaced."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rnnlab.atomic import atomic, is_draft, put_in_place
from rnnlab.errors import RunExistsError, RunFailedError, RunFolderError
from rnnlab.names import check_name
from rnnlab.provenance import this_process, trained_by
from rnnlab.runs.remains import hidden_name, settle
from rnnlab.runs.run_json import ENDED, STATUSES, now, read_run_json, status_of, why_stopped, write_run_json
from rnnlab.runs.seals import Seal

RUN_FILE = "run.json"


class RunFolder:
    """The folder of one run. Only this class knows the names of its files.

    A folder with a readable `run.json` is a run. `create` makes both in one step, so that no process sees a run folder
    without one.

    >>> from rnnlab.runs.folder import RunFolder
    >>> folder = RunFolder.create("runs", "demo", {"seed": 3})
    >>> folder.status
    'running'
    >>> folder.finish("completed", "all updates done")
    >>> folder.status, folder.read_run()["seed"]
    ('completed', 3)
    """

    def __init__(self, path: str | os.PathLike[str], *, trust: bool = False) -> None:
        """trust: the files are read also where they are not those that run.json has the length and hash of."""
        self.path, self.trust = Path(path), trust

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @property
    def name(self) -> str:
        return Path(os.path.abspath(self.path)).name

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def run(self) -> Path:
        return self.path / RUN_FILE

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def gradients(self) -> Path:
        return self.path / "gradients.csv"

    @property
    def tables(self) -> Path:
        """What probes with a table measured; only in a run that has such a probe."""
        return self.path / "probes.csv"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def previous_checkpoint(self) -> Path:
        """The checkpoint before the last one, while the run is not at its end."""
        return self.path / "checkpoint.previous.pt"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint file; whether it can be used is another question."""
        return self.checkpoint.is_file() or self.previous_checkpoint.is_file()

    @property
    def files(self) -> list[Path]:
        """Every file that a run may hold, in the order of docs/RECORDS.md."""
        records = [self.metrics, self.gradients, self.tables]
        return [self.config, self.run, *records, self.checkpoint, self.previous_checkpoint]

    @property
    def is_run(self) -> bool:
        """Whether the folder is a run of rnnlab."""
        return os.path.isfile(self.run)

    @property
    def status(self) -> str:
        """One of STATUSES; a `running` run whose process is gone counts as interrupted."""
        return status_of(self.read_run())

    @classmethod
    def check(cls, root: str | os.PathLike[str], name: str, *, force: bool = False, dead: bool = False) -> None:
        """Raise what `create` would raise, and change nothing.

        Raises UsageError for a name that no folder can have, RunExistsError for one that is taken, RunFolderError for a
        root that cannot be written.
        """
        check_name(name)
        _check_root(Path(root))
        _check_free(cls(Path(root) / name), force, dead)

    @classmethod
    def create(
        cls,
        root: str | os.PathLike[str],
        name: str,
        info: Mapping[str, Any] | None = None,
        *,
        force: bool = False,
        dead: bool = False,
        numbered: bool = False,
    ) -> RunFolder:
        """Make the folder of a run with a `run.json` of status `running`: both or neither.

        With `force` an older run of that name is deleted, so call this when the run really starts.
        With `dead` the process that wrote the older run is known to have ended, even if run.json does not show it.
        With `numbered` a taken name becomes name-2, name-3, ... instead. Raises as `check` does.
        """
        names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2))) if numbered else iter([name])
        for candidate in names:
            try:
                cls.check(root, candidate, force=force, dead=dead)
                return _make(cls(Path(root) / candidate), partial(_write_first, candidate, info or {}), force)
            except RunExistsError:
                if not numbered:
                    raise
        raise AssertionError("the names never end")

    @classmethod
    def create_from_files(
        cls, root: str | os.PathLike[str], name: str, files: Mapping[str, bytes], *, force: bool
    ) -> RunFolder:
        """Make the folder of a run that another machine trained, with all of its files: all or none.

        With `force` it replaces an older run of that name. Raises as `create` does.
        """
        cls.check(root, name, force=force, dead=True)
        return _make(cls(Path(root) / name), lambda fresh: fresh._write_all(files), force)

    def _write_all(self, files: Mapping[str, bytes]) -> None:
        for path in self.files:
            if path.name in files:
                with atomic(path) as file:
                    file.write(files[path.name])

    def clear_drafts(self) -> None:
        """Delete the half-written files of processes that were killed; call it where no other process writes here."""
        settle(self.path.parent.absolute(), RUN_FILE)
        with contextlib.suppress(OSError):
            for draft in [path for path in self.path.iterdir() if is_draft(path.name) and path.is_file()]:
                draft.unlink(missing_ok=True)

    def contents(self) -> dict[str, bytes]:
        """The bytes of each file by its name, for another machine."""
        return {path.name: path.read_bytes() for path in self.files if path.is_file()}

    def seal_of(self, path: Path) -> Seal | None:
        """The length and hash that run.json gives for a file of the folder.

        None where the run has not ended, was written by an earlier version, or is trusted. Raises RunFolderError.
        """
        fields = None if self.trust else (self.read_run().get("files") or {}).get(path.name)
        return None if fields is None else Seal.from_fields(fields)

    def why_unwritten(self, path: Path) -> str | None:
        """Why this run has not written a file of it, as a sentence; None where it has, or ought to have.

        config.yaml, gradients.csv, metrics.csv, probes.csv (with probes that have a table) and the checkpoint are begun
        in this order. Raises RunFolderError.
        """
        records = [self.gradients, self.metrics, self.tables]
        order = [self.config, *records, self.checkpoint, self.previous_checkpoint]
        if any(later.exists() for later in order[order.index(path) :]):
            return None
        info = self.read_run()
        if (status := status_of(info)) in ENDED or path.name in (info.get("files") or {}):
            return None
        return f"{path} is not written yet" if status == "running" else f"{path} was not written: {why_stopped(info)}"

    def write_run(self, info: Mapping[str, Any]) -> None:
        """Write `run.json` whole. Raises RunFailedError, and then the old one is as it was."""
        write_run_json(self.run, info)

    def update(self, **changes: Any) -> None:
        """Change these keys of `run.json` and leave the others."""
        self.write_run({**self.read_run(), **changes})

    def finish(self, status: str, reason: str = "", **changes: Any) -> None:
        """Write how the run ended: its last status, the reason in words and the time."""
        if status not in STATUSES:
            raise ValueError(f"{status!r} is not one of {', '.join(STATUSES)}")
        self.update(status=status, reason=reason, ended=now(), **changes)

    def read_run(self) -> dict[str, Any]:
        """The content of `run.json`; keys that this version does not know are kept. Raises RunFolderError."""
        return read_run_json(self.run, trust=self.trust)


def bookkeeping(root: str | os.PathLike[str]) -> Path:
    """The hidden folder beside the runs, for the store (`store`) and the claims (`claims`)."""
    return Path(root) / ".rnnlab"


def _check_root(root: Path) -> None:
    nearest = next(folder for folder in [root.absolute(), *root.absolute().parents] if os.path.exists(folder))
    if not nearest.is_dir():
        raise RunFolderError(f"{nearest} is a file, and runs need a folder; give another with --out")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise RunFolderError(f"{nearest} cannot be written; give another folder with --out")


def _check_free(run: RunFolder, force: bool, dead: bool) -> None:
    if not os.path.lexists(run.path) or _is_empty_folder(run.path):
        return
    if run.path.is_symlink() or not run.is_run:
        raise RunExistsError(f"{run.path} is there and is not a run, so it is never replaced; choose another --name")
    if not force:
        raise RunExistsError(
            f"{run.path} is there already ({_status_or_broken(run)}); choose another --name, or replace it with --force"
        )
    if _status_or_broken(run) == "running" and not dead:
        owner = trained_by(run.read_run().get("process") or {})
        raise RunExistsError(f"{run.path} {owner}, or choose another --name")


def _is_empty_folder(path: Path) -> bool:
    try:
        return not path.is_symlink() and not any(path.iterdir())
    except OSError:
        return False


def _status_or_broken(run: RunFolder) -> str:
    try:
        return run.status
    except RunFolderError:
        return "broken"


def _make(run: RunFolder, fill: Callable[[RunFolder], None], force: bool) -> RunFolder:
    """Fill the folder under a hidden name, then rename it: the system renames no folder onto one that is not empty."""
    fresh = run.path.with_name(hidden_name(run.name, "new"))
    try:
        fresh.mkdir(parents=True)
        fill(RunFolder(fresh))
        _put_in_place(fresh, run.path, force)
    except (OSError, RunFailedError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise RunExistsError(f"{run.path} was made by another process just now; choose another --name") from error
        raise RunFolderError(f"{run.path} cannot be made: {error}; give another folder with --out") from error
    return run


def _put_in_place(fresh: Path, path: Path, force: bool) -> None:
    old = path.with_name(hidden_name(path.name, "old")) if force and RunFolder(path).is_run else None
    put_in_place(fresh, path, old)
    settle(path.parent.absolute(), RUN_FILE)


def _write_first(name: str, info: Mapping[str, Any], fresh: RunFolder) -> None:
    """Write the `run.json` that a run begins with."""
    first = {"name": name, "status": "running", "reason": "", "started": now(), "ended": None}
    fresh.write_run({**first, "process": this_process(), **info})
