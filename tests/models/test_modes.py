"""Looking at a net leaves each of its parts in the mode that it was in."""

import numpy as np
import pytest
import torch
from helpers import CPU, fixed_batches, tiny_net
from torch import nn

from cifarlib import (
    Device,
    create_model,
    evaluate,
    frozen_features,
    grad_cam,
    map_sides,
    predict,
    train_epoch,
)
from cifarlib.lessons.training_from_scratch.blocks import block_table


def modes(model: nn.Module) -> list[bool]:
    """Return the mode of each part of a net."""
    return [module.training for module in model.modules()]


def mixed(model: nn.Module) -> nn.Module:
    """Return a net in training mode whose BatchNorm somebody put into evaluation mode."""
    for module in model.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def looks(model: nn.Module, batches) -> dict:
    """Return the ways of looking at a timm net, by name."""
    images = next(iter(batches))[0]
    return {
        "evaluate": lambda: evaluate(model, batches, device=CPU),
        "predict": lambda: predict(model, batches, device=CPU),
        "frozen_features": lambda: frozen_features(model, batches, CPU),
        "map_sides": lambda: map_sides(model, 32),
        "grad_cam": lambda: grad_cam(model, images, np.zeros(len(images), int), device=CPU),
        "block_table": lambda: block_table({"net": (model, 3)}, side=32),
    }


@pytest.mark.parametrize("name", list(looks(None, [(None, None)])))
@pytest.mark.parametrize("way", [nn.Module.train, nn.Module.eval, mixed])
def test_a_look_leaves_the_modes_as_they_were(name, way, test):
    model = create_model("test_resnet")
    way(model)
    before = modes(model)
    looks(model, fixed_batches(test[:8]))[name]()
    assert modes(model) == before


def test_the_modes_come_back_after_an_error_too():
    model = mixed(tiny_net())
    before = modes(model)
    with pytest.raises(ValueError, match="labels"):
        evaluate(model, [(torch.zeros(2, 3, 32, 32), torch.zeros(2, 1))], device=CPU)
    assert modes(model) == before


def statistics(model: nn.Module) -> list[torch.Tensor]:
    """Return copies of BatchNorm's running averages."""
    return [buffer.clone() for name, buffer in model.named_buffers() if "running" in name]


def one_epoch(model: nn.Module, train, device: Device = CPU) -> None:
    """Train a net for an epoch and look at it, as a loop of one's own does."""
    device.place(model)
    batches = fixed_batches(train[:64])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train_epoch(model, batches, optimizer=optimizer, device=device)
    evaluate(model, batches, device=device)


def test_frozen_batch_norm_stays_where_it_is(train):
    model = mixed(create_model("test_resnet"))
    before = statistics(model)
    for _ in range(2):
        one_epoch(model, train)
    assert all(
        torch.equal(one, other) for one, other in zip(before, statistics(model), strict=True)
    )


def test_a_net_that_was_loaded_in_evaluation_mode_is_trained_as_a_whole(train):
    model = create_model("test_resnet").eval()
    before = statistics(model)
    one_epoch(model, train)
    assert all(modes(model))
    assert not any(
        torch.equal(one, other) for one, other in zip(before, statistics(model), strict=True)
    )


def test_parts_that_stay_in_evaluation_mode_are_said_once(train, capsys):
    loaded = create_model("test_resnet").eval()
    model = nn.Sequential(loaded, nn.Linear(100, 100))
    for _ in range(2):
        one_epoch(model, train)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "parts of Sequential are in evaluation mode and stay so" in said


class KeepsNorms(nn.Sequential):
    """A net that freezes its BatchNorm itself, as torchvision's recipes do."""

    def train(self, mode: bool = True) -> "KeepsNorms":
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def test_a_net_with_a_train_of_its_own_is_asked_to_do_what_that_does(train):
    model = KeepsNorms(create_model("test_resnet"))
    before = statistics(model)
    one_epoch(model, train)
    assert all(
        torch.equal(one, other) for one, other in zip(before, statistics(model), strict=True)
    )
