"""The loop learns and counts right, and the long one does what the plain one does."""

import math

import numpy as np
import pytest
import torch
from helpers import (
    CPU,
    PLAIN_CPU,
    assert_same_tensors,
    copy_of_state,
    fit_tiny,
    fixed_batches,
    tiny_net,
)
from torch import nn
from torch.nn.functional import cross_entropy

from cifarlib import (
    RECIPES,
    Device,
    Recipe,
    create_model,
    evaluate,
    train_epoch,
    train_one_epoch_plainly,
)
from cifarlib.training.optim import make_optimizer

ADAM = Recipe()
SGD = Recipe(optimizer="sgd")
LR = 1e-3


# --- the plain loop and the long one --------------------------------------------------------------


def small_resnet() -> nn.Module:
    """Return timm's smallest ResNet, the same each time."""
    torch.manual_seed(0)
    return create_model("test_resnet", image_size=32)


def train_plainly(make_model, batches, recipe: Recipe) -> tuple[float, dict]:
    """Return the loss of one plain epoch, and the weights after it."""
    model = make_model()
    optimizer = make_optimizer(recipe, model.parameters(), LR, fused=False)
    torch.manual_seed(1)  # for dropout
    loss = train_one_epoch_plainly(model, batches, optimizer)
    return loss, copy_of_state(model)


def train_long(make_model, batches, recipe: Recipe, device: Device) -> tuple[float, dict]:
    """Return the same of the loop that a long run takes."""
    model = device.place(make_model())
    optimizer = make_optimizer(recipe, model.parameters(), LR, fused=device.fast)
    torch.manual_seed(1)
    loss, _ = train_epoch(
        model,
        batches,
        optimizer=optimizer,
        device=device,
        clip_norm=recipe.clip_norm,
    )
    return loss, copy_of_state(model)


@pytest.fixture(scope="module")
def batches(train) -> list:
    """Five batches, normalised, the last one smaller."""
    return list(fixed_batches(train[:300], normalize=True))


@pytest.mark.parametrize("make_model", [tiny_net, small_resnet])
@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
def test_the_plain_loop_and_the_long_one_give_the_very_same_weights(make_model, recipe, batches):
    plain_loss, plain = train_plainly(make_model, batches, recipe)
    long_loss, long = train_long(make_model, batches, recipe, PLAIN_CPU)
    assert_same_tensors(plain, long)
    assert long_loss == pytest.approx(plain_loss, rel=1e-6)


# in deeper nets rounding errors grow
@pytest.mark.parametrize(("make_model", "share"), [(tiny_net, 0.001), (small_resnet, 0.1)])
def test_the_fast_way_gives_close_weights(make_model, share, batches):
    # not of Adam, which makes steps of one length out of gradients that are rounding errors
    plain_loss, plain = train_plainly(make_model, batches, SGD)
    fast_loss, fast = train_long(make_model, batches, SGD, CPU)
    assert fast_loss == pytest.approx(plain_loss, rel=1e-4)
    begun = dict(make_model().named_parameters())
    apart = sum((fast[name] - plain[name]).square().sum() for name in begun) ** 0.5
    way = sum((begun[name] - plain[name]).square().sum() for name in begun) ** 0.5
    assert apart < share * way


# --- what is counted ------------------------------------------------------------------------------


def test_averages_are_weighted_by_pictures_not_by_batches(train):
    images = train[:67]  # a last batch of 3 that a mean of means would count as much as 64
    model = tiny_net().eval()
    loss, accuracy = evaluate(model, fixed_batches(images), device=CPU)
    ((pictures, labels),) = fixed_batches(images, batch_size=67, normalize=True)
    with torch.inference_mode():
        logits = model(pictures)
    assert loss == pytest.approx(float(cross_entropy(logits, labels)), abs=1e-4)
    assert accuracy == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


class Still(nn.Module):
    """A net whose answers never change, so that its mean loss can be worked out by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        return torch.arange(100.0).expand(len(images), 100) / 50 + 0 * self.bias


def test_train_loss_is_the_mean_over_all_pictures(train):
    images = train[:67]
    model = Still()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    batches = fixed_batches(images)
    loss, accuracy = train_epoch(
        model,
        batches,
        optimizer=optimizer,
        device=CPU,
    )
    logits = np.arange(100) / 50
    expected = np.mean(np.log(np.exp(logits).sum()) - logits[images.labels])
    assert loss == pytest.approx(expected, abs=1e-5)
    assert accuracy == pytest.approx(np.mean(images.labels == 99))
    plain = train_one_epoch_plainly(model, fixed_batches(images, normalize=True), optimizer)
    assert plain == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("micro_batches", [3, 64])
def test_parts_of_a_batch_add_up_to_the_whole(micro_batches, train):
    whole = linear_after_an_epoch(train, 1)
    assert linear_after_an_epoch(train, micro_batches) == pytest.approx(whole, rel=1e-4)


def linear_after_an_epoch(train, micro_batches: int) -> list[float]:
    """Return loss, accuracy and some weights of a net in which nothing ties the pictures."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 100))  # no BatchNorm
    measured = train_epoch(
        model,
        fixed_batches(train[:130]),
        optimizer=torch.optim.SGD(model.parameters(), 0.01),
        device=CPU,
        micro_batches=micro_batches,
    )
    return [*measured, *model[1].weight.detach().flatten()[:50].tolist()]


def test_a_gradient_longer_than_the_limit_is_shortened(train):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 100))
    before = copy_of_state(model)
    train_epoch(
        model,
        fixed_batches(train[:64]),
        optimizer=torch.optim.SGD(model.parameters(), 1.0),
        device=CPU,
        clip_norm=0.01,
    )
    steps = [(tensor - before[name]).norm() for name, tensor in model.state_dict().items()]
    assert float(torch.stack(steps).norm()) == pytest.approx(0.01, rel=1e-3)


# --- what goes wrong ------------------------------------------------------------------------------


def test_nan_is_told_with_the_step_and_its_rate(train):
    model = tiny_net()
    nn.init.constant_(model[0].weight, math.nan)
    with pytest.raises(FloatingPointError, match=r"not finite from step 1 of 3 on, at lr 0\.004"):
        fit_tiny(train, model=model, recipe=RECIPES["onecycle"], lr=0.1)
