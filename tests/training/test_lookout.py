"""A net's hooks keep its gradients sure and its tensors fit, however it is called."""

import copy

import numpy as np
import pytest
import torch
from helpers import PLAIN_CPU, fixed_batches
from torch import nn
from torch.nn.functional import dropout

from cifarlib import Device, choose_device, create_model, evaluate, predict, train_epoch
from cifarlib.training.lookout import outgrows, outgrows_its_maps

BFLOAT16 = Device(torch.device("cpu"), torch.bfloat16)


def images_of(side: int, n: int = 4) -> torch.Tensor:
    """Return random images, float (n, 3, side, side)."""
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def kinds_of_logits(model: nn.Module, side: int) -> torch.dtype:
    """Return in which precision a net computes in a loop of one's own."""
    with BFLOAT16.autocast():
        return model(BFLOAT16.prepare(images_of(side))).dtype


# --- strides and paddings wider than the map ------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "side", "expected"),
    [
        (nn.Conv2d(3, 4, 3, stride=2, padding=1), 1, True),
        (nn.Conv2d(3, 4, 3, stride=2, padding=1), 2, False),
        (nn.Conv2d(3, 4, 3, stride=3, padding=1), 2, True),
        (nn.Conv2d(3, 4, 3, padding=1), 1, False),
        (nn.Conv2d(3, 4, 5, padding=2), 1, True),
        (nn.Conv2d(3, 4, 5, padding="same"), 1, True),
        (nn.Conv2d(3, 4, 5, padding="valid"), 5, False),
        (nn.Conv2d(3, 4, 7, padding=3), 2, True),
        (nn.Conv2d(3, 4, 7, padding=3), 3, False),
        (nn.Conv2d(3, 4, 1, stride=2), 1, False),
    ],
)
def test_a_layer_outgrows_maps_narrower_than_its_stride_or_padding(layer, side, expected):
    assert outgrows_its_maps(nn.Sequential(layer), images_of(side)) is expected


@pytest.mark.parametrize(
    ("backbone", "stem", "image_size", "expected"),
    [
        ("ResNet18", "imagenet", 16, True),
        ("ResNet18", "imagenet", 32, False),
        ("ResNet18", "cifar", 8, False),
        ("ResNet18", "cifar", 4, True),
        ("SE-ResNeXt50", "imagenet", 16, True),
        ("SE-ResNeXt50", "imagenet", 32, False),
    ],
)
def test_the_series_nets_outgrow_only_images_smaller_than_its_own(
    backbone, stem, image_size, expected, monkeypatch
):
    monkeypatch.setattr("cifarlib.training.device.cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    model = create_model(backbone, stem=stem)
    device = choose_device(model, image_size=image_size)
    assert device.precision == ("float32" if expected else "bfloat16")
    assert choose_device(model).precision == "bfloat16"  # of a size that is not known yet


def kinds_of_outputs(model: nn.Module, call) -> set[torch.dtype]:
    """Return in which precisions a net's outgrown layers compute while `call` uses the net."""
    call(model)  # what its hooks look at first is not what is meant
    kinds = set()

    def note(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        if outgrows(layer, inputs[0]):
            kinds.add(output.dtype)

    handles = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            handles.append(layer.register_forward_hook(note))
    with BFLOAT16.autocast():
        call(model)
    for handle in handles:
        handle.remove()
    return kinds


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model(images_of(8)),
        lambda model: model(x=images_of(8)),
        lambda model: model.forward(images_of(8)),
        lambda model: model.forward_head(model.forward_features(images_of(8))),
        lambda model: nn.Sequential(model)(images_of(8)),
        lambda model: copy.deepcopy(model)(images_of(8)),
    ],
)
def test_a_layer_that_outgrows_its_map_computes_in_float32_however_the_net_is_called(call):
    model = BFLOAT16.place(create_model("test_resnet"))
    assert kinds_of_outputs(model, call) == {torch.float32}
    assert kinds_of_logits(model, 8) == torch.bfloat16  # the others do not


def test_a_net_that_is_changed_after_its_first_batch_is_looked_after_too():
    model = BFLOAT16.place(create_model("test_resnet"))
    assert kinds_of_outputs(model, lambda net: net(images_of(64))) == set()
    model.maxpool = nn.MaxPool2d(8)
    assert kinds_of_outputs(model, lambda net: net(images_of(64))) == {torch.float32}


def test_a_net_that_was_not_placed_is_looked_after_once_its_device_is_chosen():
    model = create_model("test_resnet")
    choose_device(model)
    assert kinds_of_outputs(model, lambda net: net(images_of(8))) == {torch.float32}


def test_a_transposed_convolution_is_looked_after_too():
    model = BFLOAT16.place(nn.Sequential(nn.ConvTranspose2d(3, 8, 3, 2, 1)))
    assert kinds_of_outputs(model, lambda net: net(images_of(1))) == {torch.float32}


def test_autocast_goes_on_after_the_layer_and_after_an_error():
    model = BFLOAT16.place(nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1)))
    square = torch.ones(2, 2)
    with BFLOAT16.autocast():
        assert model(images_of(1)).dtype == torch.float32
        assert (square @ square).dtype == torch.bfloat16
        with pytest.raises(RuntimeError):
            model(torch.zeros(4, 5, 1, 1))
        assert (square @ square).dtype == torch.bfloat16


def test_where_nothing_is_learned_the_precision_stays():
    model = BFLOAT16.place(create_model("test_resnet"))
    with torch.inference_mode():
        assert kinds_of_outputs(model, lambda net: net(images_of(8))) == {torch.bfloat16}


class Dreamer(nn.Module):
    """A net that draws random numbers even when it is only looked at, and counts nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return dropout(self.norm(self.layer(images))).mean((2, 3))


def test_the_look_changes_neither_the_net_nor_random_numbers():
    images = images_of(8)
    outputs, states = [], []
    for place in (True, False):
        torch.manual_seed(0)
        model = Dreamer()
        if place:
            PLAIN_CPU.place(model)
        outputs.append(model(images).detach())
        states.append(copy.deepcopy(model.state_dict()))
    assert torch.equal(*outputs)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_a_copied_net_has_hooks_of_its_own_and_no_more_of_them():
    model = BFLOAT16.place(create_model("test_resnet"))
    twin = BFLOAT16.place(copy.deepcopy(model))
    assert len(twin._forward_pre_hooks) == len(model._forward_pre_hooks) == 1
    one, other = (
        next(layer for layer in net.modules() if hasattr(layer, "in_float32"))
        for net in (model, twin)
    )
    assert other.in_float32 is not one.in_float32
    assert len(other._forward_pre_hooks) == len(one._forward_pre_hooks) == 1


# --- nets that take contiguous tensors only -------------------------------------------------------


class First(nn.Module):
    """The net of PyTorch's first tutorial, for 32 px."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc = nn.Linear(400, 100)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.conv1(images)))
        x = self.pool(torch.relu(self.conv2(x)))
        return self.fc(x.view(-1, 400))


def test_the_classic_first_net_learns_as_with_contiguous_tensors_and_it_is_said_once(train, capsys):
    results = []
    for device in (Device(torch.device("cpu")), PLAIN_CPU):
        torch.manual_seed(0)
        model = device.place(First())
        batches = fixed_batches(train[:128])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            train_epoch(model, batches, optimizer=optimizer, device=device)
        results.append(
            (evaluate(model, batches, device=device), predict(model, batches, device=device))
        )
    assert results[0][0] == results[1][0]
    assert np.array_equal(results[0][1], results[1][1])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "First takes contiguous tensors only, no channels-last: view size is not" in said


def test_an_error_that_has_nothing_to_do_with_memory_is_the_nets_own():
    model = Device(torch.device("cpu")).place(First())
    with pytest.raises(
        RuntimeError, match=r"shapes cannot be multiplied|invalid for input of size"
    ):
        model(images_of(50, n=3))


def test_a_net_that_wants_more_than_images_is_fed_as_ever():
    class Two(nn.Module):
        def forward(self, images, scale):
            return images.mean((2, 3)) * scale

    model = Device(torch.device("cpu")).place(Two())
    assert model(images_of(8), 2.0).shape == (4, 3)


def test_a_script_or_a_trace_of_a_net_is_placed_and_fed_as_ever():
    device = Device(torch.device("cpu"))
    images = images_of(32)
    traced = torch.jit.trace(create_model("test_resnet").eval(), images)
    assert device.place(traced)(images).shape == (4, 100)


def test_a_net_that_nobody_placed_is_looked_after_too(test):
    batches = fixed_batches(test[:8])
    assert 0 <= evaluate(First(), batches, device=Device(torch.device("cpu")))[1] <= 1
    assert predict(First(), batches, device=Device(torch.device("cpu"))).shape == (8, 100)
