"""The replicas of a fleet: each is its run alone, and goes on from its state to the last bit."""

from __future__ import annotations

import numpy as np
import torch
from trainings import config, updated_together_and_alone

from rnnlab.training.fleet import Fleet


def test_a_fleet_goes_on_from_its_state_to_the_last_bit() -> None:
    whole, part = Fleet(config().seeded(0)), Fleet(config().seeded(0))
    for _ in range(3):
        whole.update()
        part.update()
    rest = Fleet(config().seeded(0), [part.state(0)])
    for _ in range(3):
        whole.update()
        rest.update()
    for name, tensor in whole.network.parameters.items():
        assert torch.equal(tensor, rest.network.parameters[name])


def test_a_state_is_of_its_moment_and_can_be_restored_again() -> None:
    configs = config().seeded(0, 1)
    fleet = Fleet(configs)
    fleet.update()
    states = [fleet.state(r) for r in range(2)]
    ends = []
    for one in (fleet, Fleet(configs, states), Fleet(configs, states)):
        one.update()
        ends.append(one.flat.clone())
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


def test_what_was_taken_stays_until_it_is_applied() -> None:
    """Two batches taken from the same weights, the first applied last."""
    fleet, other = Fleet(config().seeded(0)), Fleet(config().seeded(0))
    first, copy = fleet.compute_gradients(), other.compute_gradients().gradients.clone()
    fleet.compute_gradients()
    assert torch.equal(first.gradients, copy)
    fleet.apply_gradients(first)
    fleet.compute_gradients()
    assert torch.equal(first.gradients, copy)


def test_replicas_of_a_fleet_are_the_runs_alone() -> None:
    """Adam at R = 3 in float64 after 20 updates: the same as three runs, to 1e-10."""
    settings = config(dtype="float64", clip={"name": "norm", "threshold": 0.05})
    fleet, alone = updated_together_and_alone(settings.seeded(0, 1, 2))
    together, singly = fleet.evaluate("test"), [one.evaluate("test") for one in alone]
    np.testing.assert_allclose(together, np.concatenate(singly, axis=1), atol=1e-9)
