"""The explorer holds what the records and tables say, and nothing of other hosts."""

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifarlib import load_cifar100, load_runs
from cifarlib.config import HISTORY
from cifarlib.data import hub, official
from cifarlib.data.facts import CLASSES, FINGERPRINTS, SUPERCLASS_OF, SUPERCLASSES
from cifarlib.data.locate import data_place
from cifarlib.published.read import published_curve, published_table
from cifarlib.tools.explorer import write
from cifarlib.tools.explorer.data import (
    GROUNDS,
    PAGE,
    contrast,
    explored_runs,
    packed,
    readable_color,
    unpacked,
)
from cifarlib.tools.explorer.sprite import best_webp, sprite_sheet
from cifarlib.tools.explorer.write import explorer_frame, write_explorer
from cifarlib.utils.errors import last_line

NAME = "explorer.html"


def facts_of(path: Path) -> dict:
    """Return the data that a page holds."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="facts">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def sprite_of(path: Path) -> np.ndarray:
    """Return the pixels of a page's pictures, uint8 (H, W, 3)."""
    found = re.search(r'src="data:image/webp;base64,([^"]+)"', path.read_text(encoding="utf-8"))
    assert found
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB"))


@pytest.fixture(scope="module")
def page(tmp_path_factory, test) -> Path:
    """The page without pictures, made of stand-in ones."""
    return write_explorer(tmp_path_factory.mktemp("page") / NAME, data=test)


@pytest.fixture(scope="module")
def facts(page) -> dict:
    return facts_of(page)


@pytest.fixture
def as_true(test, monkeypatch):
    """300 stand-in pictures that pass for CIFAR-100's."""
    monkeypatch.setitem(FINGERPRINTS, "test", test.fingerprint)
    return test


@pytest.fixture
def smooth(as_true, monkeypatch):
    """The same number of pictures of one colour each, which the codec keeps."""
    place = np.arange(len(as_true))
    colors = np.stack([place * 37 % 256, place * 91 % 256, place * 151 % 256], axis=1)
    images = np.broadcast_to(colors[:, None, None], as_true.images.shape).astype(np.uint8)
    changed = replace(as_true, images=images)
    monkeypatch.setitem(FINGERPRINTS, "test", changed.fingerprint)
    return changed


# --- numbers --------------------------------------------------------------------------------------


def test_every_run_of_its_budgets_is_there_the_best_first(facts):
    expected = {run.id: run for budget in ("writeup", "short") for run in load_runs(budget=budget)}
    assert {run["id"] for run in facts["runs"]} == set(expected)
    accuracies = [run["accuracy"] for run in facts["runs"]]
    assert accuracies == sorted(accuracies, reverse=True)
    for shown in facts["runs"]:
        run = expected[shown["id"]]
        assert shown["accuracy"] == run.test["accuracy"]
        assert shown["tta"] == run.test["tta_accuracy"]
        assert shown["is_held_back"] == run.is_held_back == shown["label"].endswith("†")
        assert shown["best_epoch"] == run.best_epoch


def test_predictions_equal_the_records_byte_for_byte(facts):
    truth = unpacked(facts["truth"])
    for run, shown in zip(explored_runs(), facts["runs"], strict=True):
        answers = run.predictions()
        said = unpacked(shown["said"])
        assert np.array_equal(said, answers["classes"][:, 0])
        assert np.array_equal(truth, answers["labels"])
        assert np.mean(said == truth) == pytest.approx(run.test["accuracy"], abs=1e-9)
        percent = unpacked(shown["sure"])
        sure = answers["probabilities"][:, 0].astype(float)
        assert np.abs(percent / 100 - sure).max() <= 0.005 + 1e-9


def assert_same_curve(shown: dict, history) -> None:
    """Compare a curve of the page with a table of its epochs."""
    assert shown["epoch"] == list(history.epoch)
    for measure in HISTORY:
        if measure.endswith(("_loss", "_accuracy")):
            values = np.array(shown[measure], float)
            assert np.allclose(values, history[measure], atol=5.1e-6, equal_nan=True), measure


def test_curves_equal_the_records_and_the_published(facts):
    for run, shown in zip(explored_runs(), facts["runs"], strict=True):
        assert_same_curve(shown["history"], run.history)
    assert len(facts["published"]) == 24
    for shown in facts["published"]:
        curve = published_curve(shown["backbone"], shown["size"], shown["init"])
        assert_same_curve(shown["history"], curve.reset_index())


def test_published_scores_equal_the_table(facts):
    table = published_table().set_index(["image_size", "backbone"])
    assert len(facts["scores"]) == 2 * len(table)
    for score in facts["scores"]:
        row = table.loc[(score["size"], score["backbone"])]
        if score["init"] == "scratch":
            assert score["accuracy"] == row.accuracy_scratch
            assert score["tta"] is None
        else:
            assert score["accuracy"] == row.accuracy_pretrained
            assert score["tta"] == row.accuracy_pretrained_tta3


def test_classes_have_their_family_and_a_chinese_name(facts):
    assert [one["en"].replace(" ", "_") for one in facts["classes"]] == list(CLASSES)
    families = list(SUPERCLASSES)
    for name, one in zip(CLASSES, facts["classes"], strict=True):
        assert families[one["family"]] == SUPERCLASS_OF[name]
    chinese = [one["zh"] for one in facts["classes"] + facts["superclasses"]]
    assert len(set(chinese)) == 120
    assert all(re.fullmatch(r"[一-鿿]+", name) for name in chinese)


def test_runs_on_different_pictures_are_an_error(tmp_path, test):
    (run,) = load_runs(backbone="ResNet18", image_size=32, init="scratch", budget="smoke")
    other = explored_runs()[0]
    with pytest.raises(ValueError, match="tested on other pictures than"):
        write_explorer(tmp_path / NAME, data=test, runs=[other, run])


def test_without_runs_the_published_are_shown(tmp_path, test):
    facts = facts_of(write_explorer(tmp_path / NAME, data=test, runs=[]))
    assert facts["runs"] == []
    assert facts["published"]


@pytest.mark.parametrize("values", [[0, 99], [], [255, 0, 255]])
def test_packed_bytes_come_back(values):
    assert unpacked(packed(np.array(values, np.int64))).tolist() == values


@pytest.mark.parametrize("values", [[-1], [256]])
def test_what_is_no_byte_is_an_error(values):
    with pytest.raises(ValueError, match="expected 0 to 255"):
        packed(np.array(values))


# --- colours --------------------------------------------------------------------------------------


def test_colours_stand_out_in_both_themes(facts):
    for backbone in facts["backbones"]:
        for theme, ground in GROUNDS.items():
            assert contrast(backbone[theme], ground) >= 3


def test_contrast_is_wcags():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_a_colour_that_stands_out_stays():
    assert readable_color("#c0392b", "#ffffff") == "#c0392b"


def test_the_grounds_are_those_of_the_style_sheet():
    style = (PAGE / "page.css").read_text(encoding="utf-8")
    light, dark = GROUNDS.values()
    assert f"--ground: light-dark({light}, {dark});" in style


# --- pictures -------------------------------------------------------------------------------------


def test_the_sheet_holds_each_picture_at_its_place(test):
    sheet = sprite_sheet(test.images, 100)
    assert sheet.shape == (96, 3200, 3)
    for place in (0, 99, 100, 299):
        top, left = 32 * (place // 100), 32 * (place % 100)
        assert np.array_equal(sheet[top : top + 32, left : left + 32], test.images[place])


def test_a_row_that_is_not_full_ends_in_grey(test):
    sheet = sprite_sheet(test.images[:3], 2)
    assert sheet.shape == (64, 64, 3)
    assert (sheet[32:, 32:] == 128).all()


def test_pixels_of_the_page_are_the_pictures(tmp_path, smooth):
    path = write_explorer(tmp_path / NAME, data=smooth, runs=[])
    assert facts_of(path)["pictures"] == {"side": 32, "columns": 100, "n": 300}
    assert "why_none" not in facts_of(path)
    sheet = sprite_of(path).astype(int)
    for place in range(len(smooth)):
        top, left = 32 * (place // 100), 32 * (place % 100)
        # at its edges a picture meets the colours of others
        shown = sheet[top + 4 : top + 28, left + 4 : left + 28]
        assert np.abs(shown - smooth.images[place, 4:28, 4:28]).max() <= 6, place


def test_quality_falls_until_the_page_fits(tmp_path, as_true):
    rich = write_explorer(tmp_path / "rich.html", data=as_true, runs=[]).stat().st_size
    poor = write_explorer(tmp_path / "poor.html", data=as_true, runs=[], most_bytes=rich - 50_000)
    assert rich - 100_000 < poor.stat().st_size <= rich - 50_000


def test_best_webp_is_the_best_that_fits(test):
    sheet = sprite_sheet(test.images, 100)
    content = best_webp(sheet, 100_000)
    assert 60_000 < len(content) <= 100_000


def test_too_little_room_is_an_error(tmp_path, as_true):
    with pytest.raises(ValueError, match="at the lowest quality, 20"):
        write_explorer(tmp_path / NAME, data=as_true, runs=[], most_bytes=150_000)
    with pytest.raises(ValueError, match="expected 1,000 at most"):
        write_explorer(tmp_path / NAME, data=as_true[1:], most_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_other_pictures_than_the_runs_answered_are_an_error(tmp_path, as_true):
    with pytest.raises(ValueError, match="got 300 pictures, expected the 10,000"):
        write_explorer(tmp_path / NAME, data=as_true)


@pytest.mark.slow
def test_on_true_cifar100_everything_fits_and_can_be_seen(tmp_path):
    if official.find_official(data_place().folder) is None:
        pytest.skip("true CIFAR-100 is not at hand")
    true = load_cifar100("test", own_pictures=False)
    path = write_explorer(tmp_path / NAME, data=true)
    assert path.stat().st_size <= 3_000_000
    error = sprite_of(path).astype(float) - sprite_sheet(true.images, 100)
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 26  # decibels


# --- without pictures -----------------------------------------------------------------------------


def test_the_stand_in_is_not_shown_and_the_page_says_so(page, facts):
    chinese, english = facts["why_none"]
    assert "不是真正的 CIFAR-100" in chinese
    assert "true CIFAR-100" in english
    assert "pictures" not in facts
    assert 'src="data:' not in page.read_text(encoding="utf-8")


def test_nothing_is_downloaded_unasked(tmp_path, default_data, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("asked for pictures that are not at hand")

    monkeypatch.setattr(write, "load_cifar100", never)
    monkeypatch.setattr(hub, "cached_hub_file", lambda split: None)
    facts = facts_of(write_explorer(tmp_path / NAME, runs=[]))
    assert "python -m cifarlib data" in facts["why_none"][1]


def test_pictures_at_hand_are_taken(tmp_path, default_data, monkeypatch, as_true):
    monkeypatch.setattr(write, "is_at_hand", lambda: True)
    monkeypatch.setattr(write, "load_cifar100", lambda split: as_true)
    assert facts_of(write_explorer(tmp_path / NAME, runs=[]))["pictures"]["n"] == 300


def test_a_named_folder_without_pictures_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="CIFARLIB_DATA is"):
        write_explorer(tmp_path / NAME, runs=[])


# --- the file -------------------------------------------------------------------------------------


def test_the_page_needs_no_other_host_and_runs_only_its_own_script(page):
    text = page.read_text(encoding="utf-8")
    without_names = text.replace("http://www.w3.org/2000/svg", "")  # SVG's name, never asked for
    assert not re.search(r"https?://|src=\"//|url\(|@import|\beval\(|fetch\(", without_names)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy[1]


def test_the_page_is_made_anew_byte_for_byte(page, tmp_path, test):
    again = write_explorer(tmp_path / NAME, data=test)
    assert again.read_bytes() == page.read_bytes()


def test_no_name_can_end_the_data_early():
    assert "<" not in write._json_for_html({"label": "</script><b>"})


def test_a_failure_keeps_the_page_before_it(tmp_path, test, monkeypatch):
    path = tmp_path / NAME
    path.write_text("before")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cifarlib.utils.files.os.fsync", full)
    with pytest.raises(OSError, match="the one before it is kept") as failure:
        write_explorer(path, data=test, runs=[])
    assert "No space left" in last_line(failure.value)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_as_path_is_an_error(tmp_path, test):
    with pytest.raises(ValueError, match=r"expected a file's name"):
        write_explorer(tmp_path, data=test)


# --- in a notebook --------------------------------------------------------------------------------


def test_the_frame_names_the_file_relative_to_the_notebook(page, monkeypatch):
    monkeypatch.chdir(page.parent)
    assert explorer_frame(page).src == NAME
    shown = explorer_frame(NAME, height=700)._repr_html_()
    assert 'src="explorer.html"' in shown
    assert 'title="explorer"' in shown


def test_a_link_leads_home_where_there_is_a_home(page, tmp_path):
    assert 'class="home"' not in page.read_text(encoding="utf-8")
    path = write_explorer(tmp_path / NAME, home='in"dex.html', runs=[])
    assert '<a class="home" href="in&quot;dex.html"' in path.read_text(encoding="utf-8")


def test_in_colab_the_frame_holds_the_page(page, monkeypatch):
    monkeypatch.setitem(write.sys.modules, "google.colab", write)
    shown = explorer_frame(page).data
    assert shown.startswith("<div><iframe")
    assert 'srcdoc="&lt;!doctype html&gt;' in shown


def test_a_frame_of_no_file_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="write_explorer makes it"):
        explorer_frame(tmp_path / NAME)
