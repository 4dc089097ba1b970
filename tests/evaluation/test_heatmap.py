"""A heat map shows where the evidence is, for nets that have feature maps."""

import numpy as np
import pytest
import torch
from helpers import CPU, tiny_net
from torch import nn

from cifarlib import create_model, grad_cam


class Corner(nn.Module):
    """A net that finds class 0 in bright places and class 1 in dark ones."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_info = [{"module": "bright"}]
        self.bright = nn.Conv2d(3, 2, 4, 4)
        with torch.no_grad():
            self.bright.weight[0] = 1
            self.bright.weight[1] = -1
            self.bright.bias.zero_()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.bright(images).relu().mean((2, 3))


@pytest.fixture
def half_bright() -> torch.Tensor:
    """A picture that is bright at the top left and dark elsewhere, (1, 3, 32, 32)."""
    picture = torch.full((1, 3, 32, 32), -1.0)
    picture[:, :, :16, :16] = 1
    return picture


@pytest.mark.parametrize(("number", "is_bright"), [(0, True), (1, False)])
def test_the_evidence_lies_where_the_class_is(number, is_bright, half_bright):
    (evidence,) = grad_cam(Corner(), half_bright, np.array([number]), device=CPU)
    assert evidence.shape == (32, 32)
    assert evidence.max() == pytest.approx(1)
    assert (evidence[4:12, 4:12] > 0.5).all() == is_bright
    assert (evidence[20:, 20:] > 0.5).all() != is_bright


def test_each_picture_is_asked_about_its_own_class(half_bright):
    both = grad_cam(Corner(), half_bright.repeat(2, 1, 1, 1), np.array([0, 1]), device=CPU)
    assert both[0, 8, 8] > 0.9 > 0.1 > both[1, 8, 8]


def test_a_timm_net_is_asked_at_its_last_feature_map():
    model = create_model("test_resnet")
    maps = grad_cam(model, torch.randn(3, 3, 64, 64), np.array([1, 2, 3]), device=CPU)
    assert maps.shape == (3, 64, 64)
    assert maps.dtype == np.float32
    assert maps.min() >= 0


@pytest.mark.parametrize("name", ["test_vit", "tiny"])
def test_a_net_without_feature_maps_is_refused(name):
    model = tiny_net()
    if name == "test_vit":
        model = create_model("test_vit", image_size=64)
    with pytest.raises(ValueError, match="feature maps"):
        grad_cam(model, torch.randn(1, 3, 64, 64), np.array([0]), device=CPU)
