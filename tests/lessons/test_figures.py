"""Figures show what they are given, in one look for each backbone."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from helpers import SMOKE
from matplotlib import font_manager

from cifarlib import BACKBONES, find_run, find_superseded, plots, run
from cifarlib.lessons import figures as style


def test_each_backbone_of_the_series_has_a_look_of_its_own():
    looks = [tuple(plots.look(name).values()) for name in BACKBONES]
    assert len(set(looks)) == len(BACKBONES)


def test_other_backbones_get_spare_looks_that_differ():
    others = ["a", "b", "ResNet18", "c"]
    looks = [tuple(plots.look(name, others).values()) for name in others]
    assert len(set(looks)) == 4
    assert plots.look("ResNet18", others) == plots.look("ResNet18")


def curves_in(figure, place: int) -> list[np.ndarray]:
    """Return what the lines of a panel show, longest first by how thick they are."""
    lines = [line for line in figure.axes[place].lines if len(line.get_xdata()) > 1]
    return [line.get_ydata() for line in sorted(lines, key=lambda line: -line.get_linewidth())]


def test_curve_panels_draw_ours_strong_and_the_four_published_thin():
    run = find_run("ResNet18-32px-scratch-writeup")
    figure = plots.curve_panels(32, "scratch", {"ResNet18": run, "ResNet50": None})
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
    figure = plots.curve_panels(32, "imagenet", runs)
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "ours, weights at another scale †" in said
    assert "yours, a small budget" in said
    assert "ours" not in said


def test_pairs_are_drawn_hollow_and_filled_ours_thicker():
    row = {"image_size": 32, "backbone": "ResNet18", "first": 0.9, "second": 0.4}
    pairs = pd.DataFrame([row | {"whose": "published"}, row | {"whose": "ours"}])
    figure = plots.pairs_figure(pairs, first="training", second="validation", measure="accuracy")
    lines = figure.axes[0].lines
    assert [line.get_fillstyle() for line in lines] == ["full", "none", "full"] * 2
    assert lines[0].get_linewidth() < lines[3].get_linewidth()


def test_results_join_ours_and_the_published_and_leave_open_cells_hollow():
    row = {"kind": "scratch", "image_size": 32, "published": 0.4, "held_back": False}
    cells = pd.DataFrame(
        [
            row | {"backbone": "ResNet18", "ours": 0.39},
            row | {"backbone": "ResNet50", "ours": np.nan},
        ]
    )
    joined, dash, filled, hollow = plots.results_figure(cells).axes[0].lines
    np.testing.assert_array_equal(joined.get_ydata(), [0.4, 0.39])
    assert dash.get_ydata() == [0.4]
    assert filled.get_ydata() == [0.39]
    assert hollow.get_ydata() == [0.4]
    assert hollow.get_fillstyle() == "none"


def test_a_digest_changes_with_the_numbers_and_not_with_the_looks():
    def drawn(values, color):
        figure, axis = plt.subplots()
        axis.plot(values, color=color)
        axis.bar([1, 2], values)
        axis.scatter(values, values)
        axis.imshow(np.outer(values, values))
        return plots.digest(figure)

    same = drawn([1.0, 2.0], "red")
    assert drawn([1.0, 2.0], "blue") == same
    assert drawn([1.0, 2.00001], "red") == same  # rounded
    assert drawn([1.0, 2.1], "red") != same
    assert same.startswith("figure: 1 panels, ")


def test_a_sketch_is_drawn_of_each_backbones_block():
    figure = plots.block_sketches()
    said = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert said.count("+") == 4
    assert "3×3, 144\ndepthwise" in said


def test_the_riddle_leaves_out_what_is_not_recorded():
    run = find_run("ResNet18-32px-imagenet-writeup")
    figure = plots.riddle_figure({"a": run, "b": None, "c": None, "d": None})
    labels = [line.get_label() for line in figure.axes[1].lines]
    assert labels == ["published", "a"]


def test_the_confusion_is_shown_as_shares_of_each_true_class():
    counts = np.array([[3, 1], [0, 0]])
    figure = plots.confusion(counts, ["a_cat", "dogs"], masked=False)
    shares = figure.axes[0].collections[0].get_array()
    np.testing.assert_allclose(np.ravel(shares), [75, 25, 0, 0])
    # the diagonal is left out unless it is asked for
    shares = plots.confusion(counts, ["a_cat", "dogs"]).axes[0].collections[0].get_array()
    assert np.ma.count(shares) == 2


def test_a_grid_shows_every_picture_and_hides_what_is_left_over(train):
    figure = plots.picture_grid(train.images[:5], columns=3)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(figure.axes) == 6
    for axis, picture in zip(shown, train.images[:5], strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), picture)


@pytest.mark.parametrize(("setting", "saved"), [("1", ["a.png"]), ("0", []), ("", [])])
def test_figures_are_saved_only_where_that_is_asked_for(setting, saved, tmp_path, monkeypatch):
    monkeypatch.setattr("cifarlib.lessons.figures.repository_root", lambda: tmp_path)
    monkeypatch.setenv("CIFARLIB_SAVE_FIGURES", setting)
    plots.save(plots.learning_rates({"cosine": [1, 2]}), "a")
    assert [path.name for path in tmp_path.glob("images/*")] == saved


# --- other pictures than CIFAR-100's, and names in other scripts ----------------------------------


def test_a_run_on_other_pictures_is_marked_in_every_legend(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    on_mine = run(SMOKE, runs_dir=tmp_path, progress=False)
    monkeypatch.delenv("CIFARLIB_DATA")
    runs = {"ResNet18": find_run("ResNet18-32px-scratch-quick"), "test_resnet": on_mine}
    (legend,) = plots.curve_panels(32, "scratch", runs).legends
    names = [text.get_text() for text in legend.get_texts()]
    assert "test_resnet, not CIFAR-100: folder" in names
    assert not any("ResNet18, not" in name for name in names)


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
    builder.setupNameTable({"familyName": style.CHINESE_FONTS[0], "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "font.ttf")
    font_manager.fontManager.addfont(tmp_path / "font.ttf")
    yield style.CHINESE_FONTS[0]
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
    monkeypatch.setattr(style, "CHINESE_FONTS", ())
    assert draw_chinese() == []
    assert plt.rcParams["font.family"] == ["sans-serif"]
