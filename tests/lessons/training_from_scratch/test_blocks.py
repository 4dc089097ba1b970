"""Blocks are drawn and counted as they are; what idles on small maps is worked out by hand."""

import pytest
from torch import nn

from cifarlib.lessons.training_from_scratch.blocks import block_sketches, block_table, idle_share


def test_the_idle_share_of_resnet18_at_32_px_is_that_worked_out_by_hand():
    # layer4 meets 1×1 maps: three of its 3×3 convolutions, 512 to 512, use one weight in nine;
    # its first, 256 to 512 of stride 2, sees a 2×2 map and uses four in nine
    idle = 3 * 512 * 512 * 8 + 256 * 512 * 5
    parameters = 11_176_512 + 513 * 100  # without and of the head
    assert idle_share("ResNet18", 32) == pytest.approx(idle / parameters, rel=1e-9)


def test_no_parameter_of_resnet18_is_idle_at_64_px():
    assert idle_share("ResNet18", 64) == 0


def test_weights_that_look_at_neighbours_idle_more_than_all_weights():
    for name in ("EfficientNet_b0", "ResNet18"):
        assert idle_share(name, 32, spatial=True) > idle_share(name, 32)
        assert idle_share(name, 128, spatial=True) == 0


def test_a_block_is_counted_on_its_map_and_on_one_pixel():
    block = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    table = block_table({"one": (block, 4)}, side=8)
    row = table.loc["one"]
    assert row["參數 parameters (k)"] == "0.1"  # 4 · 4 · 9 = 144
    assert row["乘加 multiply-adds, 8×8 (k)"] == "9"  # 144 · 64 = 9,216
    assert row["1×1 時閒置 idle on 1×1"] == "89%"  # eight of nine


def test_a_sketch_is_drawn_of_each_backbones_block():
    figure = block_sketches()
    said = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert said.count("+") == 4
    assert "3×3, 144\ndepthwise" in said
