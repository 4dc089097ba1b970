"""Optimisers and schedules are those that a recipe names."""

import math

import numpy as np
import pytest
import torch
from helpers import fit_tiny
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cifarlib import RECIPES, Recipe, cosine
from cifarlib.training.optim import make_optimizer, make_scheduler


def parameters() -> list[nn.Parameter]:
    """Return something to be learned."""
    return [nn.Parameter(torch.ones(3))]


def rates_of(recipe: Recipe, lr: float, *, epochs: int, steps_per_epoch: int = 1) -> list[float]:
    """Return the rates that a recipe's schedule gives when it is moved once a step."""
    optimizer = make_optimizer(recipe, parameters(), lr)
    scheduler = make_scheduler(
        recipe,
        optimizer,
        lr,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
    )
    rates = []
    for _ in range(epochs * steps_per_epoch):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@given(lr=st.floats(1e-5, 1), epochs=st.integers(1, 60), min_lr=st.floats(0, 1e-5))
def test_the_cosine_equals_the_schedulers_rates(lr, epochs, min_lr):
    recipe = Recipe(min_lr=min_lr)
    expected = rates_of(recipe, lr, epochs=epochs)
    np.testing.assert_allclose(cosine(lr, epochs, min_lr=min_lr), expected, rtol=1e-6, atol=1e-12)


def test_the_cosine_equals_its_formula():
    expected = [1e-6 + (1e-3 - 1e-6) * (1 + math.cos(math.pi * t / 5)) / 2 for t in range(5)]
    np.testing.assert_allclose(cosine(1e-3, 5), expected)


def test_one_cycle_climbs_for_a_fifth_of_the_steps_and_falls_below_where_it_began():
    rates = rates_of(RECIPES["onecycle"], 0.1, epochs=10, steps_per_epoch=10)
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(0.1)
    assert top == pytest.approx(20, abs=1)
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] < rates[0] < 0.01


def test_the_cosine_moves_each_epoch(train):
    rates = [row["lr"] for row in fit_tiny(train, epochs=5, lr=1e-3).history]
    assert rates == pytest.approx(cosine(1e-3, 5))


def test_the_one_cycle_moves_each_step(train):
    recipe = RECIPES["onecycle"]
    history = fit_tiny(train, epochs=5, lr=0.1, recipe=recipe).history
    rates = [row["lr"] for row in history]
    steps = rates_of(recipe, 0.1, epochs=5, steps_per_epoch=3)
    assert rates == pytest.approx(steps[::3])  # of the first step of each epoch


def test_sgd_follows_nesterovs_momentum():
    # the loss is the sum of the weights, so that each gradient is 1
    recipe = Recipe(optimizer="sgd", momentum=0.9, weight_decay=0)
    (weights,) = parameters()
    optimizer = make_optimizer(recipe, [weights], 0.1, fused=False)
    places = []
    for _ in range(2):
        weights.grad = torch.ones(3)
        optimizer.step()
        places.append(float(weights[0].detach()))
    # v1 = 1, v2 = 1.9; each step goes by gradient + 0.9 v
    assert places == pytest.approx([1 - 0.1 * 1.9, 1 - 0.1 * (1.9 + 2.71)])


def test_what_does_not_learn_is_left_alone():
    frozen = nn.Parameter(torch.ones(3), requires_grad=False)
    learning = nn.Parameter(torch.ones(3))
    optimizer = make_optimizer(RECIPES["writeup"], [frozen, learning], 0.1)
    assert optimizer.param_groups[0]["params"] == [learning]


def test_an_unknown_optimizer_is_named():
    with pytest.raises(ValueError, match="unknown optimizer 'adem': did you mean 'adam'"):
        Recipe(optimizer="adem")


def test_an_unknown_schedule_is_named():
    with pytest.raises(ValueError, match="unknown schedule 'cosin': did you mean 'cosine'"):
        Recipe(schedule="cosin")


@given(lr=st.floats(1e-12, 1), epochs=st.integers(1, 60))
def test_no_rate_ever_climbs_on_the_cosine(lr, epochs):
    rates = rates_of(Recipe(), lr, epochs=epochs)
    assert max(rates) <= lr * (1 + 1e-9)
    np.testing.assert_allclose(cosine(lr, epochs), rates, rtol=1e-6, atol=1e-15)


def test_a_rate_below_the_cosines_floor_stays_as_it_is():
    assert rates_of(Recipe(), 1e-7, epochs=5) == pytest.approx([1e-7] * 5)


def test_sgd_without_momentum_is_taken():
    optimizer = make_optimizer(Recipe(optimizer="sgd", momentum=0), parameters(), 0.1)
    assert optimizer.param_groups[0]["momentum"] == 0


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("batch_size", 0, "got batch_size 0, expected a whole number, 1 or more"),
        ("momentum", 1.5, "got momentum 1.5, expected a number 0 or more, 1 at most"),
        ("weight_decay", -1, "got weight_decay -1, expected a number 0 or more"),
        ("min_lr", -1e-6, "got min_lr -1e-06"),
        ("label_smoothing", 2, "got label_smoothing 2"),
        ("clip_norm", 0, "got clip_norm 0, expected a number above 0"),
        ("lr", 0, "got lr 0, expected a number above 0"),
    ],
)
def test_a_recipes_numbers_that_cannot_be_are_refused(field, value, words):
    with pytest.raises(ValueError, match=words):
        Recipe(**{field: value})
