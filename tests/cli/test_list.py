"""`rnnlab list` and `rnnlab schema` describe what a config can hold."""

from __future__ import annotations

import json

import pytest
from commands import Call

from rnnlab.catalog import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_list_gives_meaning_options_and_source(kind: str, rnn: Call) -> None:
    text, data = rnn("list", kind), rnn("list", kind, "--json")
    assert (text.code, text.err, data.code, data.err) == (0, "", 0, "")
    assert max(map(len, text.out.splitlines())) <= 80
    flat = " ".join(text.out.split())
    for part in json.loads(data.out)[kind]:
        assert {"name", "meaning", "options", "source"} <= set(part)
        assert part["source"] in flat
        for option in part["options"]:
            default = option.get("default")
            default_text = (
                "needed"
                if option["required"]
                else f"default {default if isinstance(default, str) else json.dumps(default)}"
            )
            assert f"{option['name']} ({option['type']}; {default_text})" in flat


def test_list_without_a_kind_gives_all(rnn: Call) -> None:
    assert set(json.loads(rnn("list", "--json").out)) == set(KINDS)
    assert [line for line in rnn("list").out.splitlines() if line in KINDS] == list(KINDS)
    assert "there is no list of 'clps'; did you mean 'clips'?" in rnn("list", "clps").err


def test_schema_is_one_json_object(rnn: Call) -> None:
    result = rnn("schema")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["$schema"].endswith("2020-12/schema")
