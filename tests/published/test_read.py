"""Published tables say what others measured."""

import pytest

from cifarlib import BACKBONES
from cifarlib.config import IMAGE_SIZES
from cifarlib.experiments.store import find_published_run
from cifarlib.published.read import (
    literature,
    measured_batch_norm,
    measured_speeds,
    measured_weight_scale,
    published_curve,
    published_curves,
    published_table,
)


def test_the_published_curves_are_those_of_every_panel():
    curves = published_curves()
    assert len(curves) == 3 * 4 * (50 + 10)
    curve = published_curve("ResNet18", 32, "imagenet")
    assert list(curve.index) == list(range(1, 11))
    # the curve's best is the published test accuracy, but for validation against test
    tested = published_table().set_index(["image_size", "backbone"])
    assert abs(curve.valid_accuracy.max() - tested.accuracy_pretrained[32, "ResNet18"]) < 0.017
    assert published_curve("EfficientNet_lite0", 32, "imagenet").empty


def test_the_compressed_weights_are_larger_than_hes_in_every_layer():
    layers = measured_weight_scale()
    ratio = layers.deviation / layers.he_deviation
    assert layers.backbone.value_counts().to_dict() == {"ResNet50": 53, "ResNet18": 20}
    assert ratio.min() > 1.2
    assert ratio.max() < 20.2


def test_the_measured_speeds_cover_the_comparison():
    speeds = measured_speeds().set_index(["backbone", "image_size", "stem"])
    cells = {(name, size, "imagenet") for name in BACKBONES for size in IMAGE_SIZES}
    assert set(speeds.index) == cells | {("ResNet18", 32, "cifar")}
    assert (speeds.images_per_second > 0).all()
    assert speeds.device.nunique() == 1


def test_the_published_numbers_are_fractions_of_the_series_cells():
    table = published_table()
    assert set(table.backbone) <= set(BACKBONES)
    assert set(table.image_size) <= set(IMAGE_SIZES)
    accuracies = table.filter(like="accuracy")
    assert accuracies.min().min() > 0
    assert accuracies.max().max() < 1


def test_the_literature_is_in_percent_and_its_records_climb():
    papers = literature()
    assert papers.top1_percent.between(50, 100).all()
    assert papers.published.dt.year.between(2013, 2020).all()


@pytest.mark.parametrize("column", ["run", "statistics", "valid_loss", "valid_accuracy"])
def test_the_batch_norm_table_is_of_recorded_runs(column):
    table = measured_batch_norm()
    assert table[column].notna().all()
    for run_id in table.run.unique():
        assert find_published_run(run_id), run_id
