"""Engines train fleets. An engine is a class with one method, `train`.

base            the base class of engines
run_job         trains a job in this process
inline          in this process, one fleet after another
local_worker    the process that trains one job for `local`
local           one supervised process a fleet
ray_worker      the work of a Ray worker for `ray`
on_ray          one Ray task a fleet
slurm_worker    the work of an element of a job array for `slurm`
on_slurm        one element of a SLURM job array a fleet
"""

from collections.abc import Mapping

from rnnlab.errors import UsageError, nearest
from rnnlab.parts import Table, table
from rnnlab.sweeps.engines.base import Engine
from rnnlab.sweeps.engines.inline import Inline
from rnnlab.sweeps.engines.local import Local
from rnnlab.sweeps.engines.on_ray import Ray
from rnnlab.sweeps.engines.on_slurm import Slurm


def engine_of(
    name: str | None,
    *,
    workers: int | None = None,
    address: str | None = None,
    options: Mapping[str, str] | None = None,
) -> Engine | None:
    """The engine of that name; None if nothing is given.

    Raises UsageError for an unknown name, and for options that the engine does not have.
    """
    if name is None and workers is None and address is None and not options:
        return None
    name = name or ("ray" if address else "local")
    if name not in ENGINES:
        near = nearest(name, ENGINES)
        hint = f"; did you mean '{near}'?" if near else ""
        raise UsageError(f"there is no engine {name!r}{hint} (choices: {', '.join(ENGINES)})")
    return ENGINES[name](workers, address, options)


ENGINES: Table[Engine] = table(Inline, Local, Ray, Slurm)

__all__ = ["ENGINES", "Engine", "Inline", "Local", "Ray", "Slurm", "engine_of"]
