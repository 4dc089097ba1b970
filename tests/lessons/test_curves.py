"""Tables of curves: how far from the published, where they turn, what fine-tuning brings."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import RESNET18

from cifarlib import find_run
from cifarlib.config import IMAGE_SIZES
from cifarlib.experiments.store import find_published_run, find_superseded
from cifarlib.lessons.curves import (
    against_published,
    curve_panels,
    distance_to_published,
    overfitting,
    pairs_figure,
)
from cifarlib.published.read import published_backbones, published_curve


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


def curves_in(figure, place: int) -> list[np.ndarray]:
    """Return what the lines of a panel show, longest first by how thick they are."""
    lines = [line for line in figure.axes[place].lines if len(line.get_xdata()) > 1]
    return [line.get_ydata() for line in sorted(lines, key=lambda line: -line.get_linewidth())]


def test_curve_panels_draw_ours_strong_and_the_four_published_thin():
    run = find_run("ResNet18-32px-scratch-writeup")
    figure = curve_panels(32, "scratch", {"ResNet18": run, "ResNet50": None})
    for place, column in enumerate(
        ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy")
    ):
        ours, *published = curves_in(figure, place)
        np.testing.assert_array_equal(ours, run.history[column])
        assert len(published) == 4
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said.count("published") == said.count("ours") == 1


def test_curve_panels_tell_held_back_runs_and_small_budgets_apart():
    runs = {
        "ResNet18": find_superseded("ResNet18-32px-imagenet-writeup"),
        "mine": find_run("EfficientNet_lite0-32px-imagenet-quick"),
    }
    figure = curve_panels(32, "imagenet", runs)
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "ours, weights at another scale †" in said
    assert "yours, a small budget" in said
    assert "ours" not in said


def test_pairs_are_drawn_hollow_and_filled_ours_thicker():
    row = {"image_size": 32, "backbone": "ResNet18", "first": 0.9, "second": 0.4}
    pairs = pd.DataFrame([row | {"whose": "published"}, row | {"whose": "ours"}])
    figure = pairs_figure(pairs, first="training", second="validation", measure="accuracy")
    lines = figure.axes[0].lines
    assert [line.get_fillstyle() for line in lines] == ["full", "none", "full"] * 2
    assert lines[0].get_linewidth() < lines[3].get_linewidth()
