"""Parts: what every table has in common, and how a choice among its parts is written."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from rnnlab.catalog import KINDS, config_tables, tables
from rnnlab.parts import NameIn, OneOf, Part, Subset, choice, table, text_of

TABLES = config_tables()
PARTS = [pytest.param(part, id=f"{kind}-{name}") for kind, parts in TABLES.items() for name, part in parts.items()]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_says_what_it_is_and_what_its_options_mean(part: type[Part]) -> None:
    assert inspect.cleandoc(part.__doc__ or "").strip()
    assert part.meaning().endswith(".")
    assert not part.meaning().endswith("..")
    assert all(field.description for name, field in part.model_fields.items() if name != "name")
    assert part.key() == part.key().lower()


@pytest.mark.parametrize("part", PARTS)
def test_every_paper_that_a_part_comes_from_has_a_link(part: type[Part]) -> None:
    """A link that `rnnlab list` can print in 80 columns: the address of the lecture on RMSprop is longer."""
    assert all(len(word) <= 70 for word in part.source.split())
    for paper in filter(None, part.source.split("; ")):
        linked = re.search(r", (19|20)\d\d, (doi:10\.\d+/\S+|arXiv:\S+|https://\S+)", paper)
        assert linked or paper.startswith(("torch.nn.init.", "the file given", "Tieleman and Hinton"))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_refuses_unknown_options_and_stays_as_it_is(part: type[Part]) -> None:
    needed = {name: (field.examples or ["x"])[0] for name, field in part.model_fields.items() if field.is_required()}
    made = part.model_validate(needed)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        part.model_validate({**needed, "no_such_option": 1})
    with pytest.raises(ValidationError, match="frozen"):
        made.name = "another"
    assert part.model_validate(made.model_dump()) == made


@pytest.mark.parametrize("parts", TABLES.values(), ids=TABLES)
def test_no_option_has_the_name_of_a_part_of_its_table(parts: Mapping[str, type[Part]]) -> None:
    # pydantic puts a part's name into the place of an error; it must not be taken for a key.
    options = {name for part in parts.values() for name in part.model_fields}
    assert not options & set(parts)


class Dot(Part):
    """A dot."""

    name: Literal["dot"] = "dot"


class Line(Part):
    """A line. It has a length."""

    name: Literal["line"] = "line"
    length: int = Field(default=1, ge=1, description="length")


class Text(Part):
    """A text."""

    name: Literal["text"] = "text"
    words: str = Field(description="words")


SHAPES = table(Dot, Line, Text)


class Picture(BaseModel):
    one: choice(SHAPES)  # type: ignore[valid-type]
    other: Annotated[Part, OneOf(SHAPES, "line", lambda value: {"length": value} if value == 7 else value, int)] = Dot()
    named: Annotated[str, NameIn(SHAPES)] = "dot"


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("dot", Dot()),
        ("line", Line()),
        ({"name": "line", "length": 3}, Line(length=3)),
        (Line(length=4), Line(length=4)),
        ({"name": "text", "words": "a"}, Text(words="a")),
    ],
)
def test_a_choice_takes_a_name_a_mapping_or_a_part(given: Any, made: Part) -> None:
    assert Picture(one=given).one == made
    assert Picture(one="dot", other=given).other == made


def test_with_a_default_the_name_may_be_left_out() -> None:
    assert Picture(one="dot", other={"length": 3}).other == Line(length=3)  # type: ignore[arg-type]
    assert Picture(one="dot", other=7).other == Line(length=7)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="Unable to extract tag"):
        Picture(one={"length": 3})


@pytest.mark.parametrize("given", ["dash", {"name": "dash"}, 3, None, [], {"name": 3}, {"name": "text"}, "text"])
def test_a_choice_takes_nothing_else(given: Any) -> None:
    with pytest.raises(ValidationError, match=r"tag|object|Field required"):
        Picture(one=given)


def test_a_name_is_one_of_the_table() -> None:
    with pytest.raises(ValidationError, match="'dot', 'line' or 'text'"):
        Picture(one="dot", named="dash")


def test_the_schema_offers_the_bare_names_that_are_enough() -> None:
    properties = Picture.model_json_schema()["properties"]
    assert properties["one"]["anyOf"][0]["enum"] == ["dot", "line"]
    assert {"type": "integer"} in properties["other"]["anyOf"]
    assert properties["named"]["enum"] == ["dot", "line", "text"]


class Shown(Part):
    """A part with an example. It is used so.

    It has a second paragraph.

    >>> Shown().name
    'shown'
    """

    name: Literal["shown"] = "shown"


def test_an_example_is_for_readers_of_the_code_alone() -> None:
    description = "A part with an example. It is used so.\n\nIt has a second paragraph."
    assert text_of(Shown) == Shown.model_json_schema()["description"] == description
    assert text_of(Line) == Line.model_json_schema()["description"] == "A line. It has a length."


def test_meaning_is_the_first_sentence() -> None:
    assert Line.meaning() == "A line."
    assert (Text.needs_options(), Line.needs_options()) == (True, False)


def test_the_catalog_has_every_table_and_no_two_kinds_share_one() -> None:
    result = tables()
    assert tuple(result) == KINDS
    assert len({id(one) for one in result.values()}) == len(KINDS)
    assert set(KINDS) - set(TABLES) == {"engines"}
    assert all(part.key() == name for one in result.values() for name, part in one.items())
    assert all(part.meaning().strip(".") for one in result.values() for part in one.values())


def test_whoever_follows_a_table_is_told_of_each_change() -> None:
    parts, seen = table(Dot, Line), list[list[str]]()
    parts.when_changed(lambda: seen.append([*parts]))
    long = Subset(parts, lambda part: "length" in part.model_fields or "words" in part.model_fields)
    parts["text"] = Text
    del parts["line"]
    assert seen == [["dot", "line", "text"], ["dot", "text"]]
    assert dict(long) == {"text": Text}
    assert len(long) == 1
    with pytest.raises(KeyError, match="dot"):
        long["dot"]


def test_a_part_stands_in_its_table_under_its_own_name() -> None:
    with pytest.raises(ValueError, match="the part 'dot' cannot be called 'point'"):
        table(Line)["point"] = Dot  # type: ignore[assignment]
