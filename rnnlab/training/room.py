"""Whether a machine has the memory that a training will take; if not, an error that says which key to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnlab.errors import NotEnoughMemoryError
from rnnlab.machine import free_memory, in_bytes, resident_memory
from rnnlab.training.memory import MemoryForecast, forecast_memory

if TYPE_CHECKING:
    from pydantic import BaseModel

    from rnnlab.config import Config

_KEYS = ("train.batch", "model.hidden", "task.length", "model.layers", "train.evaluate_size")
"""Keys whose value makes arrays larger."""
_MOST_NAMED = 3


class Room(NamedTuple):
    """A forecast beside the memory that is free: `needed` is what the process has still to take.

    >>> from rnnlab.config import load_config
    >>> room_for(load_config({"task": {"name": "addition", "length": 10**8}})).is_enough
    False
    """

    forecast: MemoryForecast
    needed: int
    free: int

    @property
    def is_enough(self) -> bool:
        return self.needed <= self.free


def room_for(config: Config, *, fast: bool | None = None) -> Room:
    """The forecast of a run, and what this machine has for it."""
    forecast = forecast_memory([config], fast=fast)
    # What this process holds already (torch, data files) is no longer free, and need not be taken again.
    process = max(0, forecast.process - resident_memory())
    return Room(forecast, process + forecast.beyond_process - forecast.data, free_memory())


def check_memory(config: Config) -> None:
    """Raise NotEnoughMemoryError, with the keys that help, if the run needs more memory than this machine has.

    That of a GPU is not looked at: torch itself says what it has too little of, and nothing is killed.
    """
    from rnnlab.training.device import choose_device, choose_scan

    device = choose_device(config.device)
    if device.type != "cpu":
        return
    fast = choose_scan(config, device) != "general"
    room = room_for(config, fast=fast)
    if not room.is_enough:
        raise NotEnoughMemoryError(refusal(config, room, fast=fast))


def refusal(config: Config, room: Room, *, fast: bool | None = None) -> str:
    """The text for a run that is too large: both figures, the keys that help, and the way round."""
    budget = room.free - (room.needed - room.forecast.beyond_process)

    def fits(changed: Config) -> bool:
        return forecast_memory([changed], fast=fast).beyond_process <= budget

    helpful = list(_helpful(config, fits))[:_MOST_NAMED]
    remedy = f"it would fit with {', or '.join(helpful)}" if helpful else f"make {', '.join(_KEYS[:3])} smaller"
    return (
        f"this run takes about {in_bytes(room.forecast.peak)} of memory at its peak, and {in_bytes(room.free)} are "
        f"free here; {remedy}; --force-memory (force_memory=True) trains it all the same"
    )


def _helpful(config: Config, fits: Callable[[Config], bool]) -> Iterator[str]:
    """The keys of which a smaller value would be enough, with the largest such value; those that change least first."""
    changes: list[tuple[float, str]] = []
    for key in _KEYS:
        section, name = key.split(".")
        value = getattr(getattr(config, section), name, None)
        if isinstance(value, int) and (most := _largest(config, section, name, value, fits)):
            changes.append((value / most, f"{key}={most}"))
    probes = [name for name in config.probe.which if name in ("adjoint", "weights")]
    if probes != config.probe.which and fits(_changed(config, "probe", "which", probes)):
        changes.append((1.0, f"probe.which=[{','.join(probes)}]"))
    yield from (text for _, text in sorted(changes))


def _largest(config: Config, section: str, name: str, value: int, fits: Callable[[Config], bool]) -> int:
    """The largest smaller value of a key with which the run fits, to two digits; 0 if there is none."""
    low, high = 0, value
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(_changed(config, section, name, middle)) else (low, middle)
    step = int(10 ** max(0, len(str(low)) - 2))
    return low // step * step


def _changed(config: Config, section: str, name: str, value: Any) -> Config:
    """The config with another value of one key, unchecked."""
    part: BaseModel = getattr(config, section)
    return config.model_copy(update={section: part.model_copy(update={name: value})})
