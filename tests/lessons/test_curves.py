"""Tables of curves: how far from the published, where they turn, what fine-tuning brings."""

from dataclasses import replace

import pytest

from cifarlib import (
    against_published,
    distance_table,
    distance_to_published,
    find_run,
    find_superseded,
    finetuning_table,
    overfitting,
    overfitting_table,
    pairs_of_ends,
    pairs_of_starts,
    published_backbones,
    published_curve,
)
from cifarlib.config import IMAGE_SIZES
from cifarlib.experiments.store import find_published_run

RESNET18 = "ResNet18-32px-scratch-writeup"


def runs_of(init: str, *, record: str) -> dict:
    """Return what a notebook collects: one recorded run at 32 px, all else open."""
    runs = {size: dict.fromkeys(published_backbones()) for size in IMAGE_SIZES}
    runs[32]["ResNet18"] = find_published_run(record)
    assert runs[32]["ResNet18"].experiment.init == init
    return runs


def test_the_distance_to_a_published_curve_is_in_points_over_the_epochs():
    run = find_published_run(RESNET18)
    curve = published_curve("ResNet18", 32, "scratch")
    history = run.history.assign(
        valid_accuracy=curve.valid_accuracy.to_numpy() + 0.02,
        train_accuracy=curve.train_accuracy.to_numpy(),
    )
    distances = distance_to_published(replace(run, history=history))
    assert distances == pytest.approx({"valid": 2.0, "train": 0.0})
    # what is said of it beside the curves' file
    assert distance_to_published(run) == pytest.approx({"valid": 1.0, "train": 2.1}, abs=0.05)


def test_ours_stand_beside_the_published_with_their_difference():
    run = find_published_run(RESNET18)
    table = against_published(32, "scratch", {"ResNet18": run, "ResNet50": None})
    assert list(table.index) == published_backbones()
    row = table.loc["ResNet18"]
    assert row["我們 ours, best"] == f"{run.history.valid_accuracy.max():.1%}"
    assert row["差 best, points"] == "+0.7"
    assert table.loc["ResNet50", "我們 ours, last"] == "open"
    assert table.loc["ResNet50", "差 best, points"] == ""


def test_a_run_whose_weights_held_it_back_and_one_of_another_budget_say_so():
    runs = {
        "ResNet18": find_superseded("ResNet18-32px-imagenet-writeup"),
        "EfficientNet_lite0": find_run("EfficientNet_lite0-32px-imagenet-quick"),
    }
    last = against_published(32, "imagenet", runs)["我們 ours, last"]
    assert last["ResNet18"].endswith(" †")
    assert last["EfficientNet_lite0"].endswith(" (quick)")


def test_ten_of_the_twelve_published_curves_turn_up():
    rises = []
    for size in IMAGE_SIZES:
        for name in published_backbones():
            rises.append(overfitting(published_curve(name, size, "scratch"))["rise"])
    assert sum(rise > 0.1 for rise in rises) == 10


def test_overfitting_is_read_off_the_last_epoch_and_the_lowest_loss():
    history = find_published_run(RESNET18).history
    told = overfitting(history)
    assert told["epoch"] == history.epoch[history.valid_loss.idxmin()]
    assert told["gap"] == pytest.approx(100 * (told["train"] - told["valid"]))
    # ResNet50's line leaves its panel at some epochs, which count for nothing
    assert overfitting(published_curve("ResNet50", 32, "scratch"))["epoch"] == 26


def test_the_table_of_overfitting_puts_ours_in_brackets_where_recorded():
    table = overfitting_table(runs_of("scratch", record=RESNET18))
    assert table.loc["ResNet18", "32 px: 輪 epoch"] == "22 (23)"
    assert "(" not in table.loc["ResNet18", "64 px: 輪 epoch"]


def test_pairs_are_the_published_of_every_cell_and_ours_where_recorded():
    ends = pairs_of_ends(runs_of("scratch", record=RESNET18))
    assert (ends.whose == "published").sum() == 12
    (ours,) = ends[ends.whose == "ours"].itertuples()
    assert ours.first == find_published_run(RESNET18).history.train_accuracy.iloc[-1]


def test_starts_are_compared_only_where_no_scale_held_a_run_back():
    scratch = runs_of("scratch", record=RESNET18)
    tuned = runs_of("imagenet", record="ResNet18-32px-imagenet-writeup")
    assert (pairs_of_starts(scratch, tuned).whose == "ours").sum() == 1
    tuned[32]["ResNet18"] = find_superseded("ResNet18-32px-imagenet-writeup")
    assert (pairs_of_starts(scratch, tuned).whose == "ours").sum() == 0


def test_the_table_of_distances_leaves_out_what_is_open():
    table = distance_table({"a": find_published_run(RESNET18), "b": None})
    assert list(table.index) == ["a"]
    assert table.loc["a", "距離：驗證 RMS, valid"] == "1.0"


def test_fine_tuning_over_fits_less():
    table = finetuning_table()
    assert table.loc["SE-ResNeXt50", "64 px: 差距 gap"] == "+13.9"
    assert table.loc["EfficientNet_b0", "32 px: 第 2 輪 at 2"] == "69%"
