"""The options of cells are keys of `model`: rnnlab's own are written there, and a cell from outside adds its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union

from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo

from rnnlab.cells import CELLS

_added: set[str] = set()


def cell_options() -> tuple[str, ...]:
    """The options of all cells by name; in `model` each is null for the cells that do not have it.

    >>> cell_options()
    ('nonlinearity', 'reset', 'epsilon', 'gamma', 'dt')
    """
    return tuple(dict.fromkeys(key for cell in CELLS.values() for key in cell.model_fields if key != "name"))


def added_options() -> frozenset[str]:
    """The options that only cells from outside have."""
    return frozenset(_added)


def add_cell_options(model: type[BaseModel]) -> None:
    """Give `model` a key for each option that a cell from outside has; those of cells that are gone leave it.

    Raises ValueError for an option with the name of a key that every network has.
    """
    fields = model.__pydantic_fields__
    for option in _added:
        del fields[option]
    own = {key for cell in CELLS.values() if _is_own(cell) for key in cell.model_fields}
    options = [option for option in cell_options() if option not in own]
    _added.clear()
    for option in options:
        having = [cell for cell in CELLS.values() if option in cell.model_fields]
        if option in fields:
            name = having[0].key()
            raise ValueError(
                f"the option {option!r} of the cell {name!r} is a key of every network; choose another name"
            )
        fields[option] = _field(option, [cell.model_fields[option] for cell in having])
        _added.add(option)


def refusals(cell: type[BaseModel], options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Options with the reason why a cell does not take a value that `model` took, which has the bounds of all cells."""
    try:
        cell.model_validate(options)
    except ValidationError as error:
        for fault in error.errors():
            yield str(next(iter(fault["loc"]), "")), fault["msg"].replace("Input should", "must")


def _is_own(cell: type[BaseModel]) -> bool:
    return cell.__module__.startswith("rnnlab.cells.")


def _typed(field: FieldInfo) -> Any:
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def _field(option: str, given: list[FieldInfo]) -> FieldInfo:
    about = next((field.description for field in given if field.description), f"Option {option} of a cell.")
    branches = tuple(_typed(field) for field in given)
    optional: Any = Union[(*branches, None)]
    return FieldInfo.from_annotated_attribute(
        optional, Field(default=None, description=f"{about.rstrip('.')}; null: its default, and nothing elsewhere.")
    )
