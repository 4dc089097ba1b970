"""What a net is made of, against numbers worked out by hand or published."""

import pytest
import timm
import torch
from torch import nn

from cifarlib import block_table, create_model, filter_structure, idle_share, map_sides, model_table


def test_the_series_backbones_have_their_published_sizes():
    table = model_table(image_sizes=[32]).set_index("backbone")
    assert table.parameters_m.to_dict() == {
        "EfficientNet_b0": 4.14,
        "ResNet18": 11.23,
        "ResNet50": 23.71,
        "SE-ResNeXt50": 25.72,
        "EfficientNet_lite0": 3.5,
    }
    assert set(table.feature_map) == {"1×1"}


def test_multiply_adds_are_those_counted_by_hand():
    # ResNet18 at 224 px has 1.81 G multiply-adds (He et al. 2015, table 1: 1.8 × 10⁹)
    assert model_table(["ResNet18"], [224]).multiply_adds_m[0] == pytest.approx(1814, abs=5)


@pytest.mark.parametrize("backbone", ["ResNet18", "SE-ResNeXt50"])
def test_the_table_knows_the_cifar_stem(backbone):
    assert model_table([backbone], [32], stem="cifar").feature_map[0] == "4×4"


def test_a_map_whose_channels_come_last_is_read_right():
    assert set(model_table(["swin_tiny_patch4_window7_224"], [64]).feature_map) == {"2×2"}


def test_a_transformers_tokens_are_counted():
    # 4 × 4 patches of 16 px, and the class token
    assert model_table(["vit_tiny_patch16_224"], [64]).feature_map[0] == "17 tokens"


@pytest.mark.parametrize(
    ("backbone", "image_size", "feature_map"),
    [
        ("coat_tiny", 64, "65 tokens + 17 tokens + 5 tokens"),
        ("crossvit_9_240", 240, "401 tokens + 197 tokens"),
        # its tokens come last: the states of three stages, and the last stage's 1×1 map
        ("efficientvim_m1", 64, "49 tokens + 25 tokens + 9 tokens + 1 tokens"),
        ("tnt_s_legacy_patch16_224", 64, "17 tokens"),  # hands its layers parameters as inputs
        ("pit_ti_224", 64, "1 tokens"),  # the class token alone
        ("test_vit_relpos", 64, "16 tokens"),
        ("test_mambaout", 64, "2×2"),
        ("efficientvit_m0", 64, "1×1"),
        ("test_coatnet", 64, "2×2"),
        ("lcnet_035", 64, "2×2"),
        ("test_nfnet", 64, "2×2"),
    ],
)
def test_the_table_has_a_row_for_odd_nets_too(backbone, image_size, feature_map):
    row = model_table([backbone], [image_size]).iloc[0]
    assert row.feature_map == feature_map
    assert row.parameters_m > 0
    assert row.multiply_adds_m > 0


def test_features_that_are_neither_a_map_nor_tokens_are_no_error(monkeypatch):
    pooled = timm.models.resnet.ResNet.forward_features

    def already_averaged(self, pictures):
        return pooled(self, pictures).mean((2, 3))

    monkeypatch.setattr(timm.models.resnet.ResNet, "forward_features", already_averaged)
    monkeypatch.setattr(
        timm.models.resnet.ResNet,
        "forward_head",
        lambda self, features: self.fc(features),
    )
    row = model_table(["test_resnet"], [32]).iloc[0]
    assert row.feature_map == "–"
    assert row.multiply_adds_m > 0


def test_a_net_that_needs_numbers_is_counted_as_on_the_meta_device(monkeypatch):
    # attention too, for which torch has other products on the CPU
    expected = model_table(["test_vit"], [64])
    shapes_suffice = timm.models.vision_transformer.VisionTransformer.forward

    def forward(self, pictures):
        assert not pictures.is_meta or float(pictures.sum()) == 0  # on the meta device an error
        return shapes_suffice(self, pictures)

    monkeypatch.setattr(timm.models.vision_transformer.VisionTransformer, "forward", forward)
    torch.manual_seed(0)
    table = model_table(["test_vit"], [64])
    drawn = torch.rand(1)
    assert table.equals(expected)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(1), drawn)  # building the net drew none of its caller's numbers


def test_the_table_says_in_one_line_that_a_net_cannot_take_the_size():
    with pytest.raises(ValueError, match=r"^dla46_c cannot take 16 px pictures: Given"):
        model_table(["dla46_c"], [16])


@pytest.mark.parametrize(
    ("image_size", "sides"),
    [(32, [16, 8, 4, 2, 1]), (64, [32, 16, 8, 4, 2]), (128, [64, 32, 16, 8, 4])],
)
def test_each_stage_of_a_resnet_halves_the_map(image_size, sides):
    assert map_sides(create_model("ResNet18"), image_size) == sides


def test_a_cifar_stem_keeps_maps_larger():
    assert map_sides(create_model("ResNet18", stem="cifar"), 32) == [32, 32, 16, 8, 4]


def test_the_idle_share_of_resnet18_at_32_px_is_that_worked_out_by_hand():
    # layer4 meets 1×1 maps: three of its 3×3 convolutions, 512 to 512, use one weight in nine;
    # its first, 256 to 512 of stride 2, sees a 2×2 map and uses four in nine
    idle = 3 * 512 * 512 * 8 + 256 * 512 * 5
    parameters = 11_176_512 + 513 * 100  # without and of the head
    assert idle_share("ResNet18", 32) == pytest.approx(idle / parameters, rel=1e-9)


def test_no_parameter_of_resnet18_is_idle_at_64_px():
    assert idle_share("ResNet18", 64) == 0


# --- blocks and filters ---------------------------------------------------------------------------


def test_a_block_is_counted_on_its_map_and_on_one_pixel():
    block = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    table = block_table({"one": (block, 4)}, side=8)
    row = table.loc["one"]
    assert row["參數 parameters (k)"] == "0.1"  # 4 · 4 · 9 = 144
    assert row["乘加 multiply-adds, 8×8 (k)"] == "9"  # 144 · 64 = 9,216
    assert row["1×1 時閒置 idle on 1×1"] == "89%"  # eight of nine


def test_weights_that_look_at_neighbours_idle_more_than_all_weights():
    for name in ("EfficientNet_b0", "ResNet18"):
        assert idle_share(name, 32, spatial=True) > idle_share(name, 32)
        assert idle_share(name, 128, spatial=True) == 0


def test_filters_tell_noise_from_structure():
    torch.manual_seed(0)
    noise = torch.randn(32, 3, 3, 3)
    grey = torch.randn(32, 1, 3, 3).expand(32, 3, 3, 3).clone()
    grey[0] = 0
    assert filter_structure(noise)["死掉 dead"] == "0 / 32"
    assert filter_structure(grey)["死掉 dead"] == "1 / 32"
    assert filter_structure(grey)["三色同向 colours agree"] == "31 / 31"
