"""Only regular files are read, and only as much as fits: nothing hangs, and nothing eats the memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnlab.config import load_config
from rnnlab.errors import ConfigError, DataMissingError, RnnlabError, RunFolderError
from rnnlab.regular import CannotReadError, most_in_memory, open_regular, read_regular
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.readers import read_gradients, read_metrics
from rnnlab.runs.run_config import read_config
from rnnlab.sweeps.file import load_sweep
from rnnlab.tasks.arrays import Arrays
from rnnlab.tasks.files import read_bytes, sha256

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
TERABYTE = 1 << 40


def in_time(read: Callable[[], Any]) -> BaseException | Any:
    """What `read` gives or raises; fails where it has not ended after a while."""
    ended: list[Any] = []

    def call() -> None:
        try:
            ended.append(read())
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(30)
    assert ended, "it hangs"
    return ended[0]


READERS: dict[str, tuple[type[RnnlabError], Callable[[Path], Any]]] = {
    "run.json": (RunFolderError, lambda path: RunFolder(path.parent).read_run()),
    "config.yaml": (RunFolderError, lambda path: read_config(RunFolder(path.parent))),
    "metrics.csv": (RunFolderError, read_metrics),
    "gradients.csv": (RunFolderError, read_gradients),
    "experiment.yaml": (ConfigError, load_config),
    "sweep.yaml": (ConfigError, load_sweep),
    "text.txt": (DataMissingError, read_bytes),
    "data.csv": (DataMissingError, sha256),
    "data.npz": (DataMissingError, lambda path: Arrays(path=path).kind),
}
readers = pytest.mark.parametrize("name", READERS)


def refused(name: str, path: Path) -> str:
    kind, read = READERS[name]
    error = in_time(lambda: read(path))
    assert isinstance(error, kind), error
    return str(error)


@needs_pipes
@readers
def test_a_pipe_is_refused(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    assert "it is a pipe, and not a regular file" in refused(name, tmp_path / name)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no device without an end here")
@readers
def test_a_link_to_a_device_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("/dev/zero")
    assert "it is a device, and not a regular file" in refused(name, tmp_path / name)


@readers
def test_a_folder_and_a_link_in_circles_are_refused(name: str, tmp_path: Path) -> None:
    if name != "data.npz":  # of which a folder has one for each sequence (tests/tasks/test_unlike.py)
        (tmp_path / name).mkdir()
        assert "Is a directory" in refused(name, tmp_path / name)
        (tmp_path / name).rmdir()
    (tmp_path / name).symlink_to(name)
    assert "symbolic links" in refused(name, tmp_path / name)


@readers
def test_a_file_larger_than_the_memory_is_refused(name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(TERABYTE)  # sparse, and as long
    assert "1,099,511,627,776 bytes" in refused(name, tmp_path / name)


def test_the_limit_without_a_number_is_a_quarter_of_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(most_in_memory() + 1)
    with pytest.raises(CannotReadError, match=r"are read at most: a quarter of this machine's memory"):
        read_regular(path)


def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    assert read_regular(tmp_path / "b", 7) == b"content"
    with open_regular(tmp_path / "b") as file:
        assert file.read(3) == b"con"
    with pytest.raises(CannotReadError, match="it has 7 bytes, and 6 are read at most"):
        read_regular(tmp_path / "b", 6)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc here")
def test_a_file_that_does_not_know_its_size_is_read_whole() -> None:
    assert read_regular("/proc/self/status").startswith(b"Name:")
    with pytest.raises(CannotReadError, match="are read at most"):
        read_regular("/proc/self/status", 10)


def test_a_name_that_no_file_has_is_an_error() -> None:
    with pytest.raises(CannotReadError, match="null byte"):
        read_regular("a\0b")
