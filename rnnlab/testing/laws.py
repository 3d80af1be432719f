"""What all checks share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import torch

from rnnlab.parts import Part

P = TypeVar("P", bound=Part)


def law(holds: object, text: str, seen: object = None) -> None:
    """Raise AssertionError with this law, and with what was seen in its place, unless it holds.

    >>> law(1 + 1 == 2, "one and one is two")
    """
    if not holds:
        # Not an `assert`: python -O takes those out.
        raise AssertionError(text if seen is None else f"{text}; seen: {seen}")


def made(part: P | type[P]) -> P:
    """The part itself, or one of this class: with its defaults, and with the examples of the options that it needs.

    Raises AssertionError for a needed option without an example in its field.
    """
    if not isinstance(part, type):
        return part
    options: dict[str, Any] = {}
    for key, field in part.model_fields.items():
        if field.is_required():
            law(
                field.examples,
                f"the option {key!r} is needed and has no `examples=`: give the check a part, not a class",
            )
            options[key] = (field.examples or [None])[0]
    return part.model_validate(options)


@contextlib.contextmanager
def random_state_untouched(subject: str) -> Iterator[None]:
    """Within the block no random state of the process may move. Raises AssertionError."""
    numpys, torchs = np.random.get_state(), torch.get_rng_state()
    yield
    after = np.random.get_state()
    same = all(np.array_equal(before, other) for before, other in zip(numpys, after, strict=True))
    law(same, f"{subject} leaves NumPy's global random state alone")
    law(torch.equal(torchs, torch.get_rng_state()), f"{subject} leaves torch's global random state alone")


def bits(tensor: torch.Tensor) -> bytes:
    """The bytes of a tensor: equal where every bit is, NaN among them."""
    return tensor.detach().cpu().numpy().tobytes()
