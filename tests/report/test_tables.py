"""Tables say what is recorded, what was published, and what is open."""

import pytest

from cifarlib import (
    BACKBONES,
    collect_runs,
    comparison,
    literature,
    measured_batch_norm,
    measured_speeds,
    published_table,
    summary,
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


def test_a_cell_without_a_record_is_open(monkeypatch, tmp_path):
    monkeypatch.setenv("CIFARLIB_RECORDS", "none")
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path))
    table = comparison()
    for kind in ("scratch", "fine-tuned", "fine-tuned + TTA"):
        assert set(table[kind, "ours"]) == {"open"}
        assert set(table[kind, "budget"]) == {""}


def test_the_summary_is_that_of_the_history_and_says_what_is_open():
    run = find_published_run("ResNet18-32px-scratch-writeup")
    rows = summary({"ResNet18": run, "ResNet50": None})
    said = rows.loc["ResNet18"]
    assert said.budget == "writeup"
    assert said.epochs == "50"
    assert said.train_loss == f"{run.history.train_loss.iloc[-1]:.2f}"
    assert said.best_valid == f"{run.history.valid_accuracy.max():.1%}"
    assert said.best_epoch == str(run.best_epoch)
    assert rows.loc["ResNet50"].budget == "open"
    assert set(rows.loc["ResNet50"].drop("budget")) == {""}


def test_the_summary_keeps_the_test_closed():
    runs = collect_runs(["ResNet18"], 32, "scratch")
    assert not [column for column in summary(runs) if "test" in column]


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
