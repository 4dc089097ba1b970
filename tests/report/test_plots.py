"""Figures show what they are given, in one look for each backbone."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from helpers import SMOKE
from matplotlib import font_manager

from cifarlib import BACKBONES, find_run, plots, run, summary


@pytest.fixture(autouse=True)
def close_figures():
    """No window opens, and no figure stays."""
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_each_backbone_of_the_series_has_a_look_of_its_own():
    looks = [tuple(plots.look(name).values()) for name in BACKBONES]
    assert len(set(looks)) == len(BACKBONES)


def test_other_backbones_get_spare_looks_that_differ():
    others = ["a", "b", "ResNet18", "c"]
    looks = [tuple(plots.look(name, others).values()) for name in others]
    assert len(set(looks)) == 4
    assert plots.look("ResNet18", others) == plots.look("ResNet18")


def test_curves_draw_the_history_of_each_run_and_leave_out_open_ones():
    run = find_run("ResNet18-32px-scratch-writeup")
    figure = plots.curves({"ResNet18": run, "ResNet50": None}, "loss", title="scratch")
    training, validation = figure.axes
    (line,) = training.lines
    np.testing.assert_array_equal(line.get_ydata(), run.history.train_loss)
    (line,) = validation.lines
    np.testing.assert_array_equal(line.get_ydata(), run.history.valid_loss)
    assert figure.get_suptitle() == "scratch · budget: writeup"


def test_curves_of_different_budgets_say_so():
    runs = {
        "ResNet18": find_run("ResNet18-32px-scratch-writeup"),
        "ResNet50": find_run("ResNet50-32px-scratch-quick"),
    }
    figure = plots.curves(runs, "accuracy")
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == ["ResNet18 (writeup)", "ResNet50 (quick)"]


def test_the_confusion_is_shown_as_shares_of_each_true_class():
    figure = plots.confusion(np.array([[3, 1], [0, 0]]), ["a_cat", "dogs"])
    shares = figure.axes[0].collections[0].get_array()
    np.testing.assert_allclose(np.ravel(shares), [75, 25, 0, 0])


def test_a_grid_shows_every_picture_and_hides_what_is_left_over(train):
    figure = plots.picture_grid(train.images[:5], columns=3)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(figure.axes) == 6
    for axis, picture in zip(shown, train.images[:5], strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), picture)


@pytest.mark.parametrize(("setting", "saved"), [("1", ["a.png"]), ("0", []), ("", [])])
def test_figures_are_saved_only_where_that_is_asked_for(setting, saved, tmp_path, monkeypatch):
    monkeypatch.setattr("cifarlib.report.plots.repository_root", lambda: tmp_path)
    monkeypatch.setenv("CIFARLIB_SAVE_FIGURES", setting)
    plots.save(plots.learning_rates({"cosine": [1, 2]}), "a")
    assert [path.name for path in tmp_path.glob("images/*")] == saved


# --- other pictures than CIFAR-100's, and names in other scripts ----------------------------------


def test_a_run_on_other_pictures_is_marked_in_every_legend(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    on_mine = run(SMOKE, runs_dir=tmp_path, progress=False)
    monkeypatch.delenv("CIFARLIB_DATA")
    runs = {"ResNet18": find_run("ResNet18-32px-scratch-quick"), "test_resnet": on_mine}
    for figure in (plots.curves(runs, "loss"), plots.legend_lines(runs)):
        legends = [*figure.legends, *(axis.get_legend() for axis in figure.axes)]
        names = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
        assert any("test_resnet, not CIFAR-100: folder" in name for name in names)
        assert not any("ResNet18, not" in name for name in names)
    assert list(summary(runs).pictures) == ["CIFAR-100", "not CIFAR-100: folder"]


@pytest.fixture
def chinese_font(tmp_path):
    """A font with one Chinese character, installed under a name that is looked for."""
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "cat"])
    builder.setupCharacterMap({ord("貓"): "cat"})
    pen = TTGlyphPen(None)
    for point in ((0, 0), (0, 700), (700, 700)):
        pen.moveTo(point) if point == (0, 0) else pen.lineTo(point)
    pen.closePath()
    builder.setupGlyf({".notdef": pen.glyph(), "cat": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (800, 0), "cat": (800, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": plots.CHINESE_FONTS[0], "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "font.ttf")
    font_manager.fontManager.addfont(tmp_path / "font.ttf")
    yield plots.CHINESE_FONTS[0]
    kept = font_manager.fontManager.ttflist
    kept[:] = [font for font in kept if font.fname != str(tmp_path / "font.ttf")]


def draw_chinese() -> list[str]:
    """Draw a picture with a Chinese title and return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plots.use_style()
        figure = plots.picture_grid([np.zeros((8, 8, 3))], ["貓"], columns=1)
        figure.canvas.draw()
    return [str(warning.message) for warning in caught]


def test_chinese_names_are_drawn_with_a_font_that_has_them(chinese_font):
    assert draw_chinese() == []
    assert plt.rcParams["font.family"] == ["sans-serif", chinese_font]


def test_without_a_font_chinese_names_bring_no_flood_of_warnings(monkeypatch):
    monkeypatch.setattr(plots, "CHINESE_FONTS", ())
    assert draw_chinese() == []
    assert plt.rcParams["font.family"] == ["sans-serif"]
