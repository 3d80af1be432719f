"""How many runs a sweep has is compared before any of them is made."""

from __future__ import annotations

import pytest
from commands import Call, written

MANY = {
    "seeds: 10000000": "seeds: 10,000,000 combinations are more than 1,000,000",
    "seeds: 1000000000000000000000000000000000": "seeds: 10^33 combinations are more than 1,000,000",
    "axes: {random: {samples: 10000000, model.hidden: {integers: [1, 9]}}}": "axes: 10,000,000 combinations",
    "axes: {random: {samples: 1000, model.hidden: {integers: [1, 9]}}}\nseeds: 10000": "axes: 10,000,000 combinations",
    "axes: {random: {samples: 1000000000, seed: {integers: [0, 1]}}, zip: {model.hidden: [1, 2]}}": "axes: 2,000,000,0",
    "axes: {zip: [{seed: [1, 2]}, {model.hidden: [3, 4]}]}\nseeds: 500000": "axes: 2,000,000 combinations",
}


@pytest.mark.parametrize("text", MANY)
def test_too_many_runs_are_counted_before_one_is_made(text: str, rnn: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.sweeps.file.reader.sampled", lambda *_: pytest.fail("drawn"))
    monkeypatch.setattr("rnnlab.sweeps.file.reader.Reader.seeds", lambda *_: pytest.fail("made"))
    result = rnn("validate", written(f"base: {{task: addition}}\n{text}\n"))
    assert result.code == 2
    assert MANY[text] in result.out


def test_too_many_seeds_from_an_option_are_counted_too(rnn: Call) -> None:
    result = rnn("sweep", "-c", written("base: {task: addition}\nseeds: 2\n"), "--set", "seeds=1e7", "--dry-run")
    assert (result.code, result.err) == (2, "c.yaml:2:8: seeds: 10,000,000 combinations are more than 1,000,000\n")
