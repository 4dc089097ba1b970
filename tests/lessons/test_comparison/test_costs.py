"""What a training costs follows from the measured speed."""

import matplotlib.pyplot as plt
import pytest

from cifarlib import BACKBONES, Experiment
from cifarlib.lessons.test_comparison.costs import cost_table, costs_figure, training_costs
from cifarlib.lessons.test_comparison.fair import comparison_cells
from cifarlib.published.read import measured_speeds


@pytest.mark.parametrize("kind", ["scratch", "fine-tuned"])
def test_the_hours_are_the_work_at_the_measured_speed(kind):
    costs = training_costs(comparison_cells(), kind).set_index(["backbone", "image_size"])
    speeds = measured_speeds().set_index(["backbone", "image_size", "stem"]).images_per_second
    init = {"scratch": "scratch", "fine-tuned": "imagenet"}[kind]
    work = Experiment("ResNet50", 64, init, "writeup").work()
    hours = work / speeds["ResNet50", 64, "imagenet"] / 3600
    assert costs.hours["ResNet50", 64] == pytest.approx(hours)


def test_no_published_cell_on_the_front_is_beaten_in_both():
    costs = training_costs(comparison_cells())
    known = costs.dropna(subset="published")
    for cell in known.itertuples():
        better = known[(known.hours < cell.hours) & (known.published >= cell.published)]
        assert cell.on_front == better.empty
    assert not costs[costs.published.isna()].on_front.any()


@pytest.mark.slow
def test_the_table_has_every_backbone():
    assert list(cost_table().index) == list(BACKBONES)


def test_the_figure_draws_each_cell_at_its_hours():
    costs = training_costs(comparison_cells())
    figure = costs_figure(costs, title="a title")
    (axis,) = figure.axes
    hollow = [line for line in axis.lines if line.get_fillstyle() == "none"]
    drawn = [(line.get_xdata()[0], line.get_ydata()[0]) for line in hollow]
    expected = list(zip(costs.hours, costs.published, strict=True))
    assert len(drawn) == len(expected)
    for point, place in zip(drawn, expected, strict=True):
        assert point == pytest.approx(place, nan_ok=True)
    daggers = [text for text in axis.texts if text.get_text() == "†"]
    assert len(daggers) == costs.held_back.sum()
    plt.close(figure)
