"""Laws of free memory: the smallest limit around the process counts, of whichever version of control groups."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from rnnlab import machine
from rnnlab.machine import free_memory, in_bytes, resident_memory

GIB = 2**30


def group(path: Path, limit: str, usage: int, *, version: int, reclaimable: int = 0) -> None:
    """A control group as the kernel shows it."""
    path.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    (path / names[0]).write_text(f"{limit}\n")
    (path / names[1]).write_text(f"{usage}\n")
    (path / "memory.stat").write_text(f"anon 5\n{names[2]} {reclaimable}\n")


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree of control groups, and a machine with 64 GiB free."""
    monkeypatch.setattr(machine, "_GROUPS", tmp_path)
    monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 64 * GIB}))
    return tmp_path


def test_without_groups_the_machine_decides(mount: Path) -> None:
    assert free_memory() == 64 * GIB


@pytest.mark.parametrize("line", ["0::/job/task", "1:name=systemd:/\n0::/job/task"])
def test_version_2(mount: Path, line: str) -> None:
    (mount / "own").write_text(f"{line}\n")
    group(mount / "job" / "task", "max", 7, version=2)
    group(mount / "job", str(8 * GIB), 3 * GIB, version=2, reclaimable=GIB)
    assert free_memory() == 6 * GIB


def test_version_1(mount: Path) -> None:
    (mount / "own").write_text("9:cpu:/\n4:memory:/job/task\n0::/\n")
    group(mount / "memory" / "job" / "task", str(4 * GIB), GIB, version=1, reclaimable=GIB // 2)
    group(mount / "memory", str(2**63 - 4096), 30 * GIB, version=1)
    assert free_memory() == 4 * GIB - GIB // 2


def test_in_a_container_the_mount_is_the_own_group(mount: Path) -> None:
    (mount / "own").write_text("0::/far/away/from/here\n")
    group(mount, str(2 * GIB), GIB // 2, version=2)
    assert free_memory() == 2 * GIB - GIB // 2


def test_a_group_beyond_its_limit_has_nothing_left(mount: Path) -> None:
    (mount / "own").write_text("0::/\n")
    group(mount, str(GIB), 2 * GIB, version=2)
    assert free_memory() == 0


@pytest.mark.parametrize("text", ["", "0::/job\n", "4:memory:/job\n"])
def test_what_cannot_be_read_is_no_limit(mount: Path, text: str) -> None:
    (mount / "own").write_text(text)
    (mount / "job").mkdir()
    (mount / "job" / "memory.max").write_text("many\n")
    assert free_memory() == 64 * GIB


def test_this_machine_has_memory_and_this_process_holds_some() -> None:
    assert free_memory() > 0
    assert resident_memory() > 10 * 2**20


@pytest.mark.parametrize(
    ("count", "text"),
    [(900, "900 bytes"), (2_500_000, "2.5 MB"), (3_210_000_000, "3.2 GB"), (15e12, "15.0 TB")],
)
def test_bytes_have_a_unit(count: float, text: str) -> None:
    assert in_bytes(int(count)) == text
