"""What a net is made of, against numbers worked out by hand or published."""

import pytest
import timm
import torch

from cifarlib import create_model, map_sides, model_table


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
