"""Tables say what is recorded, what was published, and what is open."""

import pytest

from cifarlib import (
    BACKBONES,
    comparison,
    find_superseded,
    literature,
    measured_batch_norm,
    measured_speeds,
    measured_weight_scale,
    published_curve,
    published_curves,
    published_table,
)
from cifarlib.config import IMAGE_SIZES
from cifarlib.runs.store import find_published_run, largest_run


def test_the_comparison_has_every_cell_with_ours_beside_the_published():
    table = comparison()
    assert list(table.index) == [(size, name) for size in IMAGE_SIZES for name in BACKBONES]
    ours = table["scratch"].loc[32, "ResNet18"]
    run = largest_run("ResNet18", 32, "scratch")
    assert ours["ours"] == f"{run.test['accuracy']:.1%}"
    assert ours["budget"] == run.experiment.budget
    published = published_table().set_index(["image_size", "backbone"])
    assert ours["published"] == f"{published.accuracy_scratch[32, 'ResNet18']:.1%}"


def test_a_cell_whose_weights_were_too_large_for_its_steps_is_marked():
    table = comparison()["fine-tuned"]
    for (size, backbone), row in table.iterrows():
        run = largest_run(backbone, size, "imagenet", cifar100=True)
        assert row["budget"].endswith(" †") == bool(run and run.is_held_back)
    assert find_superseded("ResNet18-32px-imagenet-writeup").is_held_back
    # ten times the rate makes up for it; and what begins from scratch has no such weights
    assert not find_superseded("ResNet18-32px-imagenet-writeup-lr_0.001").is_held_back
    assert not find_published_run("ResNet18-32px-scratch-writeup").is_held_back


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


def test_a_cell_without_a_record_is_open(monkeypatch, tmp_path):
    monkeypatch.setenv("CIFARLIB_RECORDS", "none")
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path))
    table = comparison()
    for kind in ("scratch", "fine-tuned", "fine-tuned + TTA"):
        assert set(table[kind, "ours"]) == {"open"}
        assert set(table[kind, "budget"]) == {""}


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
