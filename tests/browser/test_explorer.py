"""The explorer in a real browser: what a reader clicks, types, hears and sees."""

from pathlib import Path

import numpy as np
import pytest

from cifarlib import ImageSet, load_runs
from cifarlib.data.facts import CLASSES, FINGERPRINTS, SUPERCLASS_OF, SUPERCLASSES
from cifarlib.evaluation.metrics import superclass_confusion
from cifarlib.published.read import published_curve
from cifarlib.tools.explorer.data import explored_runs
from cifarlib.tools.explorer.write import write_explorer

FAMILIES = list(SUPERCLASSES)
FAMILY_OF = np.array([FAMILIES.index(SUPERCLASS_OF[name]) for name in CLASSES])
PEOPLE = FAMILIES.index("people")
TREES = FAMILIES.index("trees")
LOOKS = [(1400, "light"), (1400, "dark"), (400, "light"), (400, "dark")]


def color_of(place: int) -> tuple[int, int, int]:
    """Return the one colour of a test picture in these tests: far from those of its neighbours."""
    return (40 + place % 5 * 44, 40 + place // 5 % 5 * 44, 40 + place // 25 % 5 * 44)


@pytest.fixture(scope="module")
def addresses(tmp_path_factory) -> dict[str, str]:
    """The page with pictures of one colour each, and the page without."""
    folder = tmp_path_factory.mktemp("explorer")
    colors = np.array([color_of(place) for place in range(10_000)], np.uint8)
    images = np.broadcast_to(colors[:, None, None], (10_000, 32, 32, 3))
    labels = explored_runs()[0].predictions()["labels"].astype(np.int64)
    data = ImageSet(images, labels, CLASSES)
    without = write_explorer(folder / "without.html", data=data)
    with pytest.MonkeyPatch.context() as patch:  # they pass for CIFAR-100's
        patch.setitem(FINGERPRINTS, "test", data.fingerprint)
        with_pictures = write_explorer(folder / "with.html", data=data)
    return {"with": with_pictures.as_uri(), "without": without.as_uri()}


@pytest.fixture
def explore(open_page, addresses):
    """A function: explore(hash, **options of the context) -> Watched, drawn to its end."""

    def open_it(words: str = "", *, which: str = "with", **options):
        watched = open_page(addresses[which] + words, home=addresses[which], **options)
        watched.page.wait_for_selector("html[data-ready]")
        return watched

    return open_it


@pytest.fixture
def best():
    """The run that the page begins with."""
    return next(run for run in explored_runs() if not run.is_held_back)


def texts(page, selector: str) -> list[str]:
    """Return the texts of all elements that a selector finds."""
    return [text.strip() for text in page.locator(selector).all_inner_texts()]


def cell(page, box: str, row: int, column: int):
    """Return a cell of a matrix, by its places among the numbers."""
    return page.locator(f"{box} tbody tr:nth-child({row + 1}) td:nth-of-type({column + 1})")


# --- the whole page -------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["with", "without"])
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_nothing_is_complained_of_asked_or_too_wide(explore, which, width, scheme):
    viewport = {"width": width, "height": 900}
    watched = explore(which=which, viewport=viewport, color_scheme=scheme)
    page = watched.page
    cell(page, "#superclass-matrix", PEOPLE, PEOPLE).click()
    cell(page, "#family", 1, 2).click()
    page.locator("#gallery button").first.click()
    for element in ("document.documentElement", "document.querySelector('dialog')"):
        assert page.evaluate(f"{element}.scrollWidth - {element}.clientWidth") <= 0, element
    watched.assert_clean()


def test_the_theme_follows_the_system_and_the_button(explore):
    page = explore(color_scheme="dark").page
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(18, 21, 27)"
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    page.click("#theme")
    assert page.evaluate(ground) == "rgb(245, 246, 248)"
    assert page.get_attribute("#theme", "aria-pressed") == "false"
    page.reload()
    assert page.evaluate(ground) == "rgb(245, 246, 248)"


def test_a_page_without_pictures_says_so_and_still_tells_answers(explore):
    page = explore(which="without").page
    assert "true CIFAR-100" in page.inner_text("#why-none")
    assert page.locator("canvas").count() == 0
    page.locator("#gallery button").first.click()
    assert page.locator("#answers tbody tr").count() == len(explored_runs())


def test_it_works_in_a_sandboxed_frame(open_page, addresses, tmp_path):
    # as JupyterLab serves it: scripts may run, nothing may be kept
    outer = tmp_path / "outer.html"
    frame = f'<iframe sandbox="allow-scripts" src="{addresses["with"]}" height=800></iframe>'
    outer.write_text(frame, encoding="utf-8")
    watched = open_page(outer.as_uri(), home="file:")
    inner = watched.page.frame_locator("iframe")
    inner.locator("html[data-ready]").wait_for()
    inner.locator("#theme").click()
    inner.locator("#gallery canvas").first.wait_for()
    watched.assert_clean()


# --- curves ---------------------------------------------------------------------------------------


def test_size_and_start_choose_the_curves(explore):
    page = explore().page
    before = texts(page, "#readout tbody th")
    page.locator("#size label", has_text="128 px").click()
    page.locator("#start label", has_text="微調").click()
    after = texts(page, "#readout tbody th")
    assert after != before
    assert sum("published" in name for name in after) == 4
    assert "ResNet18 128 px fine-tuned †" in after
    assert page.get_attribute("#epoch", "max") == "10"
    assert "size=128&start=imagenet" in page.url


def test_backbone_and_whose_choose_the_curves(explore):
    page = explore().page
    page.locator("#backbones label", has_text="ResNet18").click()
    assert not any("ResNet18" in name for name in texts(page, "#readout tbody th"))
    page.locator("#backbones label", has_text="ResNet18").click()
    page.locator("#whose label", has_text="published").click()
    names = texts(page, "#readout tbody th")
    assert names
    assert not any("published" in name for name in names)
    page.locator("#whose label", has_text="variants").click()
    assert "ResNet18 32 px scratch, seed 1" in texts(page, "#readout tbody th")
    assert page.locator("#plot [data-curve]").count() == len(texts(page, "#readout tbody th"))


@pytest.mark.parametrize("measure", ["valid_accuracy", "train_loss"])
def test_hover_shows_the_records_values(explore, measure):
    page = explore().page
    page.select_option("#measure", measure)
    box = page.locator("#plot svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 100)
    epoch = int(page.inner_text("#epoch-out"))
    assert 10 < epoch < 25
    shown = dict(
        zip(
            texts(page, "#readout tbody th"),
            texts(page, "#readout tbody td:nth-child(2)"),
            strict=True,
        )
    )
    (run,) = load_runs(backbone="ResNet50", image_size=32, init="scratch", budget="writeup")
    ours = run.history.set_index("epoch")[measure][epoch]
    theirs = published_curve("ResNet50", 32, "scratch")[measure][epoch]
    for name, value in (
        ("ResNet50 32 px scratch", ours),
        ("ResNet50 · 公布 published", theirs),
    ):
        if measure.endswith("loss"):
            assert float(shown[name]) == pytest.approx(value, abs=0.00051)
        else:
            assert float(shown[name].rstrip("%")) == pytest.approx(100 * value, abs=0.051)


def test_the_slider_moves_the_crosshair_by_keyboard(explore):
    page = explore().page
    page.focus("#epoch")
    place = "document.querySelector('.crosshair').getAttribute('x1')"
    last = float(page.evaluate(place))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#epoch-out") == "48"
    assert float(page.evaluate(place)) < last
    assert "epoch 48" in page.inner_text("#readout caption")
    assert page.get_attribute("#epoch", "aria-valuetext") == "第 48 輪 epoch 48"


def test_a_reader_of_the_screen_is_told_what_the_plot_shows(explore):
    page = explore().page
    said = page.get_attribute("#plot svg", "aria-label")
    assert "validation accuracy, 32 px, scratch" in said
    assert "ResNet18 32 px scratch: 39.7%" in said
    assert page.get_attribute("#readout", "aria-live") == "polite"


# --- the table ------------------------------------------------------------------------------------


def numbers(page, column: int) -> list[float]:
    """Return a column's numbers, without what is open."""
    cells = texts(page, f"#score-table tbody tr > :nth-child({column})")
    return [float(text.split("%")[0]) for text in cells if "%" in text]


def test_the_table_sorts_both_ways_and_says_so(explore):
    page = explore().page
    header = page.locator('#score-table th[data-key="published"]')
    assert header.get_attribute("aria-sort") is None
    for direction in ("descending", "ascending"):
        header.locator("button").click()
        assert header.get_attribute("aria-sort") == direction
        assert direction in page.inner_text("#sorted")
        shown = numbers(page, 6)
        assert shown == sorted(shown, reverse=direction == "descending")
        # what is open comes last either way
        assert texts(page, "#score-table tbody tr > :nth-child(6)")[-1] == "–"
    assert shown[0] == 27.87
    assert shown[-1] == 81.68


def test_the_table_holds_every_run(explore):
    page = explore().page
    expected = sorted(round(100 * run.test["accuracy"], 2) for run in explored_runs())
    assert sorted(numbers(page, 4)) == expected


def test_a_number_of_ours_opens_its_confusion(explore):
    page = explore().page
    button = page.locator("#score-table .link").nth(3)
    run = explored_runs()[3]
    button.click()
    assert page.input_value("#run") == run.id
    assert f"{round(10_000 * run.test['accuracy']):,} / 10,000" in page.inner_text("#run-summary")


# --- confusion ------------------------------------------------------------------------------------


def test_the_matrix_is_the_records(explore, best):
    page = explore().page
    answers = best.predictions()
    expected = superclass_confusion(answers["labels"], answers["classes"][:, 0], FAMILY_OF)
    shown = [int(text or 0) for text in texts(page, "#superclass-matrix tbody td")]
    assert np.array_equal(np.reshape(shown, (20, 20)), expected)


@pytest.mark.parametrize("said_family", [PEOPLE, TREES])
def test_a_cell_opens_its_family_and_its_pictures(explore, best, said_family):
    page = explore().page
    cell(page, "#superclass-matrix", PEOPLE, said_family).click()
    answers = best.predictions()
    truth, said = answers["labels"].astype(int), answers["classes"][:, 0].astype(int)
    members = np.flatnonzero(FAMILY_OF == PEOPLE)
    columns = np.flatnonzero(np.equal(FAMILY_OF, said_family))
    expected = []
    for row in members:
        counts = [int(np.sum((truth == row) & (said == column))) for column in columns]
        others = int(np.sum((truth == row) & (FAMILY_OF[said] != said_family)))
        expected.append([*counts, others])
    shown = [int(text or 0) for text in texts(page, "#family tbody td")]
    assert np.array_equal(np.reshape(shown, (5, 6)), expected)
    listed = np.flatnonzero((FAMILY_OF[truth] == PEOPLE) & (FAMILY_OF[said] == said_family))
    assert f"{len(listed):,} 張" in page.inner_text("#gallery-summary")
    places = [
        int(item.get_attribute("data-place")) for item in page.locator("#gallery button").all()
    ]
    assert places == listed[: len(places)].tolist()


def test_a_class_cell_lists_the_very_pictures(explore, best):
    page = explore().page
    cell(page, "#superclass-matrix", PEOPLE, PEOPLE).click()
    cell(page, "#family", 2, 1).click()
    answers = best.predictions()
    girl, boy = CLASSES.index("girl"), CLASSES.index("boy")
    expected = np.flatnonzero((answers["labels"] == girl) & (answers["classes"][:, 0] == boy))
    while page.locator("#more").is_visible():  # a part of them is shown at a time
        page.locator("#more").click()
    buttons = page.locator("#gallery button").all()
    assert [int(one.get_attribute("data-place")) for one in buttons] == expected.tolist()
    for button, place in zip(buttons[:5], expected, strict=False):
        pixel = button.locator("canvas").evaluate(
            "(canvas) => [...canvas.getContext('2d').getImageData(16, 16, 1, 1).data].slice(0, 3)"
        )
        assert np.abs(np.subtract(pixel, color_of(place))).max() < 12


def test_a_picture_tells_what_every_net_said(explore):
    page = explore().page
    page.locator("#gallery button").first.click()
    place = int(page.locator("#gallery button").first.get_attribute("data-place"))
    runs = explored_runs()
    rows = page.locator("#answers tbody tr").all()
    assert len(rows) == len(runs)
    for row, run in zip(rows, runs, strict=True):
        answers = run.predictions()
        name = CLASSES[answers["classes"][place, 0]].replace("_", " ")
        sure = 100 * float(answers["probabilities"][place, 0])
        said = row.locator("td").first.inner_text()
        assert said.endswith(name)
        assert ("✓" in said) == bool(run.correct()[place])
        assert float(row.locator("td").last.inner_text()[:-1]) == pytest.approx(sure, abs=0.51)
    right = sum(int(run.correct()[place]) for run in runs)
    assert f"{right} of {len(runs)} nets are right" in page.inner_text("#picture-votes")


def test_another_run_changes_the_matrix_and_keeps_the_cell(explore):
    page = explore().page
    cell(page, "#superclass-matrix", PEOPLE, PEOPLE).click()
    before = texts(page, "#family tbody td")
    page.select_option("#run", "ResNet18-32px-scratch-writeup")
    assert texts(page, "#family tbody td") != before
    assert page.locator('#superclass-matrix [aria-selected="true"]').count() == 1


def test_an_address_leads_to_the_same_view(explore):
    page = explore().page
    cell(page, "#superclass-matrix", PEOPLE, PEOPLE).click()
    cell(page, "#family", 2, 5).click()
    words = page.evaluate("location.hash")
    other = explore(words).page
    assert other.inner_text("#gallery-summary") == page.inner_text("#gallery-summary")
    assert "others" in other.inner_text("#gallery-summary")


@pytest.mark.parametrize("words", ["#run=none&cell=99-0", "#cell=x", "#size=7&fine=1-1", "#%"])
def test_an_address_of_nothing_is_passed_over(explore, words):
    watched = explore(words)
    assert "所有答錯的" in watched.page.inner_text("#gallery-summary")
    watched.assert_clean()


def test_by_keyboard_alone_to_a_picture_and_back(explore):
    page = explore().page
    page.focus("#run")
    page.keyboard.press("Tab")
    focused = "document.activeElement.getAttribute('aria-label')"
    if page.evaluate("document.activeElement.className") == "scroll":
        page.keyboard.press("Tab")
    assert "aquatic mammals" in page.evaluate(focused)
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowUp", "End", "Home"):
        page.keyboard.press(key)
    page.keyboard.press("ArrowLeft")  # there is nothing further left
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "aquatic mammals → 魚 fish" in page.inner_text("#gallery-summary")
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.className") == "scroll":
        page.keyboard.press("Tab")
    assert "beaver" in page.evaluate(focused)
    page.keyboard.press("End")
    page.keyboard.press(" ")
    assert "others" in page.inner_text("#gallery-summary")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("#picture").get_attribute("open") is not None
    page.keyboard.press("ArrowRight")
    assert "2 / " in page.inner_text("#picture-title")
    page.keyboard.press("Escape")
    assert page.locator("#picture").get_attribute("open") is None
    second = page.locator("#gallery button").nth(1).get_attribute("data-place")
    assert page.evaluate("document.activeElement.dataset.place") == second


def test_more_pictures_come_when_asked(explore):
    page = explore().page
    first = page.locator("#gallery button").count()
    page.click("#more")
    assert page.locator("#gallery button").count() == 2 * first
    in_focus = page.evaluate("document.activeElement.dataset.place")
    assert in_focus == page.locator("#gallery button").nth(first).get_attribute("data-place")


# --- for who cannot see or will not have it move --------------------------------------------------


def test_every_control_has_a_name_and_every_picture_of_text_too(explore):
    page = explore().page
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, [role=img], [tabindex]")]
          .filter((one) => one.checkVisibility() && !one.closest("h2"))
          .filter((one) => !(one.innerText || one.ariaLabel || one.labels?.length
            || one.getAttribute("aria-labelledby")))
          .map((one) => one.outerHTML.slice(0, 100))"""
    )
    assert nameless == []
    assert page.get_attribute("html", "lang") == "zh-Hant"


def test_who_wants_no_motion_gets_none(explore):
    page = explore(reduced_motion="reduce").page
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_the_page_is_a_file_of_its_own(addresses):
    assert addresses["with"].startswith("file:")
    path = Path(addresses["with"].removeprefix("file://"))
    assert path.stat().st_size <= 3_000_000
