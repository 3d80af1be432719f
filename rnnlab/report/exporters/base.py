"""The base class of exporters."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from rnnlab.errors import UsageError
from rnnlab.report.exporters.content import RunContent


class Exporter(ABC):
    """Writes runs as another tool reads them.

    >>> from rnnlab.report.exporters import EXPORTERS
    >>> EXPORTERS["parquet"]().packages
    ('pyarrow',)
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    """What it imports; the extra of its own name installs them."""
    command: ClassVar[str] = ""
    """What shows the result, with `{folder}` in it."""

    @classmethod
    def key(cls) -> str:
        """Its name in the table of exporters."""
        return cls.name

    def check_ready(self) -> None:
        """Raise UsageError with the command that installs it, where a package is missing."""
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            what = " and ".join(missing)
            raise UsageError(f"--to {self.name} is made with {what}: pip install 'rnnlab[{self.name}]'")

    @abstractmethod
    def write(self, runs: Iterable[RunContent], folder: Path, place: Path) -> None:
        """Write the runs into an empty folder, which has the path `place` once all of it is written.

        The runs are read one after another, as they are asked for. Raises OSError where the system refuses.
        """
