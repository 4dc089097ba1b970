"""Figures share one style, are saved where that is asked for, and draw names in other scripts."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from helpers import SMOKE
from matplotlib import font_manager

from cifarlib import find_run, run
from cifarlib.lessons import figures
from cifarlib.lessons.curves import curve_panels
from cifarlib.lessons.figures import picture_grid, save, use_style
from cifarlib.lessons.training_from_scratch.course import learning_rates


def test_a_grid_shows_every_picture_and_hides_what_is_left_over(train):
    figure = picture_grid(train.images[:5], columns=3)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(figure.axes) == 6
    for axis, picture in zip(shown, train.images[:5], strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), picture)


@pytest.mark.parametrize(("setting", "saved"), [("1", ["a.png"]), ("0", []), ("", [])])
def test_figures_are_saved_only_where_that_is_asked_for(setting, saved, tmp_path, monkeypatch):
    monkeypatch.setattr("cifarlib.lessons.figures.repository_root", lambda: tmp_path)
    monkeypatch.setenv("CIFARLIB_SAVE_FIGURES", setting)
    save(learning_rates({"cosine": [1, 2]}), "a")
    assert [path.name for path in tmp_path.glob("images/*")] == saved


# --- other pictures than CIFAR-100's, and names in other scripts ----------------------------------


def test_a_run_on_other_pictures_is_marked_in_every_legend(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    on_mine = run(SMOKE, runs_dir=tmp_path, progress=False)
    monkeypatch.delenv("CIFARLIB_DATA")
    runs = {"ResNet18": find_run("ResNet18-32px-scratch-quick"), "test_resnet": on_mine}
    (legend,) = curve_panels(32, "scratch", runs).legends
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
    builder.setupNameTable({"familyName": figures.CHINESE_FONTS[0], "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "font.ttf")
    font_manager.fontManager.addfont(tmp_path / "font.ttf")
    yield figures.CHINESE_FONTS[0]
    kept = font_manager.fontManager.ttflist
    kept[:] = [font for font in kept if font.fname != str(tmp_path / "font.ttf")]


def draw_chinese() -> list[str]:
    """Draw a picture with a Chinese title and return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use_style()
        figure = picture_grid([np.zeros((8, 8, 3))], ["貓"], columns=1)
        figure.canvas.draw()
    return [str(warning.message) for warning in caught]


def test_chinese_names_are_drawn_with_a_font_that_has_them(chinese_font):
    assert draw_chinese() == []
    assert plt.rcParams["font.family"] == ["sans-serif", chinese_font]


def test_without_a_font_chinese_names_bring_no_flood_of_warnings(monkeypatch):
    monkeypatch.setattr(figures, "CHINESE_FONTS", ())
    assert draw_chinese() == []
    assert plt.rcParams["font.family"] == ["sans-serif"]
