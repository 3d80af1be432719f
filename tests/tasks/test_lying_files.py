"""Data files that state another size than they have, or unpack without end, are refused before memory is taken."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnnlab.errors import DataFormatError
from rnnlab.tasks.arrays import Arrays
from rnnlab.tasks.files import read_bytes
from rnnlab.tasks.mnist import _idx

MOST = 1 << 20
HUGE = 1 << 40


@pytest.fixture(autouse=True)
def _small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a mebibyte is the most that is read."""
    monkeypatch.setattr("rnnlab.regular._NEVER_TOO_LARGE", MOST)
    monkeypatch.setattr("rnnlab.regular.most_in_memory", lambda: MOST)


def npy(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """An array as an .npy file; with `shape` its header states that shape in place of its own."""
    memory = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape or array.shape}
    np.lib.format.write_array_header_1_0(memory, header)
    return memory.getvalue() + array.tobytes()


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


X, Y = np.ones((40, 5, 2)), np.arange(40) % 3


def test_an_honest_file_is_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.npz", {"x.npy": npy(X), "y.npy": npy(Y), "README": b"mine"})
    assert Arrays(path=path).timesteps == 5
    np.savez_compressed(tmp_path / "b.npz", x=X, y=Y)
    assert Arrays(path=tmp_path / "b.npz").timesteps == 5


@pytest.mark.parametrize("shape", [(HUGE, 5, 2), (41, 5, 2), (39, 5, 2), (1 << 62, 1 << 62), (0, HUGE), (-1, 5, 2), ()])
def test_a_header_that_states_another_size_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    content = npy(X).replace(b"(40, 5, 2)", str(shape).encode().ljust(10)[:10]) if not shape else npy(X, shape)
    path = packed(tmp_path / "a.npz", {"x.npy": content, "y.npy": npy(Y)})
    with pytest.raises(DataFormatError, match=r"x.npy states an array|not an .npz file of plain arrays"):
        _ = Arrays(path=path).timesteps


@pytest.mark.parametrize("name", ["x.npy", "other.npy", "README"])
def test_an_archive_that_unpacks_to_more_than_fits_is_refused(name: str, tmp_path: Path) -> None:
    members = {"x.npy": npy(X), "y.npy": npy(Y)} | {name: npy(np.zeros(MOST // 8 + 1))}
    path = packed(tmp_path / "a.npz", members)
    assert path.stat().st_size < 20_000
    with pytest.raises(DataFormatError, match=r"unpacked, it has 1,[\d,]+ bytes, and 1,048,576 are read at most"):
        _ = Arrays(path=path).timesteps


def test_many_arrays_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    part = npy(np.zeros(MOST // 16, np.uint8))  # a number takes eight bytes once it is read
    path = packed(tmp_path / "a.npz", {f"{k}.npy": part for k in range(3)})
    with pytest.raises(DataFormatError, match="its arrays unpacked, it has 1,572,864 bytes"):
        _ = Arrays(path=path).timesteps


def test_a_zip_that_states_less_than_it_unpacks_to_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.npz", {"x.npy": npy(np.zeros(1 << 22)), "y.npy": npy(Y)})
    raw, size = path.read_bytes(), len(npy(np.zeros(1 << 22)))
    path.write_bytes(raw.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(DataFormatError, match=r"x.npy states an array .* and has 1,000|Bad CRC-32"):
        _ = Arrays(path=path).timesteps


def test_a_gzip_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(64 << 20)))
    with pytest.raises(DataFormatError, match=r"a.gz: unpacked, it has 4,194,304 bytes, and 1,048,576 are read"):
        read_bytes(path)
    path.write_bytes(gzip.compress(b"a") + gzip.compress(b"b"))
    assert read_bytes(path) == b"ab"


@pytest.mark.parametrize(
    ("axes", "sizes", "body"),
    [
        (3, (2**32 - 1, 2**32 - 1, 2**32 - 1), b""),
        (3, (2**31, 2**31, 4), b""),  # their product is 0 in 64 bits
        (3, (0, 2**32 - 1, 2**32 - 1), b""),
        (1, (0,), b""),
        (1, (3,), b"ab"),
        (255, (1,) * 255, b"a"),
        (2, (1, 1), b"a"),
        (255, (), b""),
    ],
)
def test_an_idx_file_that_lies_is_refused(axes: int, sizes: tuple[int, ...], body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes([0, 0, 8, axes]) + np.array(sizes, ">u4").tobytes() + body)
    with pytest.raises(DataFormatError, match="not a whole IDX file of unsigned bytes"):
        _idx(path)
