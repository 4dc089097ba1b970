"""The site in a real browser: built once with its search, served, and read as a reader would."""

import functools
import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from quiet_server import QuietServer

from cifarlib.utils.files import PACKAGE

for needed in ("nbconvert", "latex2mathml", "pagefind_bin_extended"):
    pytest.importorskip(needed, reason="needs pip install 'cifarlib[site]'")

pytestmark = pytest.mark.slow

ROOT = PACKAGE.parent
NOTEBOOK = "03_training_from_scratch.html"
LOOKS = [(1400, "light"), (1400, "dark"), (400, "light"), (400, "dark")]

# pictures that are not drawn, and by how much the page is wider than the window
LAYOUT = """() => ({
  broken: [...document.images].filter((one) => !one.naturalWidth).map((one) => one.src),
  beyond: document.documentElement.scrollWidth - document.documentElement.clientWidth,
})"""

# texts whose contrast with what is behind them is below 4.5, WCAG's floor for body text
CONTRAST = """() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const linear = numbers(color).slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (numbers(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const weak = new Map();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim();
    const one = texts.currentNode.parentElement;
    if (!text || !one.checkVisibility()) continue;
    const both = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => b - a);
    const ratio = (both[0] + 0.05) / (both[1] + 0.05);
    const name = `${one.tagName}.${one.className}`;
    if (ratio < 4.5) weak.set(name, `${name} ${ratio.toFixed(2)}: ${text.slice(0, 30)}`);
  }
  return [...weak.values()];
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that does not write a line for each page."""

    def log_message(self, *_words) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the site, built as a reader would."""
    out = tmp_path_factory.mktemp("built") / "site"
    asked = [sys.executable, ROOT / "scripts/build_site.py", "--out", out]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def home(site):
    """The address at which the site is served."""
    handler = functools.partial(Quiet, directory=site)
    server = QuietServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_is_clean_whole_and_no_wider_than_the_window(
    site, home, open_page, width, scheme
):
    viewport = {"width": width, "height": 900}
    watched = open_page(home, home=home, viewport=viewport, color_scheme=scheme)
    names = sorted(path.name for path in site.glob("*.html"))
    assert "index.html" in names
    for name in names:
        watched.page.goto(home + name, wait_until="load")
        layout = watched.page.evaluate(LAYOUT)
        assert layout == {"broken": [], "beyond": 0}, name
        watched.assert_clean()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out(home, open_page, scheme):
    watched = open_page(home + NOTEBOOK, home=home, color_scheme=scheme)
    assert watched.page.evaluate(CONTRAST) == []


def test_the_search_finds_chinese_and_english_and_leads_to_the_section(home, open_page):
    watched = open_page(home, home=home)
    page = watched.page
    box = page.get_by_role("searchbox")
    box.fill("augmentation")
    page.locator(".found a", has_text="Does augmentation help?").first.wait_for()
    box.fill("過擬合")
    first = page.locator(".found a", has_text="過擬合：背答案")
    first.wait_for()
    for words in page.locator(".found a").all_inner_texts():
        assert "過擬合" in words
    first.click()
    page.wait_for_url("**/03_training_from_scratch.html#*")
    assert page.locator("h2", has_text="過擬合：背答案").is_visible()
    page.get_by_role("searchbox").fill("zyzzyva")
    page.get_by_text("沒有找到").wait_for()
    watched.assert_clean()


def test_the_english_is_hidden_on_all_pages_once_it_is_switched_off(home, open_page):
    watched = open_page(home, home=home)
    page = watched.page
    switch = page.get_by_role("button", name="English")
    quote = page.locator("blockquote[lang=en]").first
    assert switch.get_attribute("aria-pressed") == "true"
    assert quote.is_visible()
    switch.click()
    assert switch.get_attribute("aria-pressed") == "false"
    assert quote.is_hidden()
    page.goto(home + NOTEBOOK)
    assert page.locator("article .english:visible").count() == 0
    assert page.get_by_role("button", name="English").get_attribute("aria-pressed") == "false"
    assert page.locator("h1").inner_text().strip() == "03 從零開始訓練"
    page.get_by_role("button", name="English").click()
    assert page.locator("blockquote[lang=en]").first.is_visible()
    watched.assert_clean()


def test_the_theme_follows_the_system_until_one_is_chosen(home, open_page):
    watched = open_page(home, home=home, color_scheme="dark")
    page = watched.page
    paper = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    switch = page.get_by_role("button", name="深色")
    assert switch.get_attribute("aria-pressed") == "true"
    switch.click()
    light = page.evaluate(paper)
    assert light != dark
    page.goto(home + NOTEBOOK)
    assert page.evaluate(paper) == light
    watched.assert_clean()


def test_the_table_of_contents_stands_beside_or_is_folded(home, open_page):
    wide = open_page(home + NOTEBOOK, home=home).page
    link = wide.locator(".contents.wide a", has_text="訓練迴圈")
    link.click()
    wide.locator(".contents.wide a[aria-current]", has_text="訓練迴圈").wait_for()
    assert link.is_visible()  # it stays while the page moves
    narrow = open_page(home + NOTEBOOK, home=home, viewport={"width": 400, "height": 900}).page
    assert narrow.locator(".contents.wide").is_hidden()
    narrow.locator(".contents.narrow summary").click()
    assert narrow.locator(".contents.narrow a", has_text="訓練迴圈").is_visible()


def test_the_keyboard_skips_to_the_text(home, open_page):
    page = open_page(home + NOTEBOOK, home=home).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "article"


def test_from_the_disk_all_but_the_search_works_and_it_says_what_it_needs(site, open_page):
    watched = open_page((site / "index.html").as_uri(), home=site.as_uri())
    page = watched.page
    page.get_by_role("searchbox").fill("過擬合")
    page.locator(".found", has_text="python -m http.server -d site").wait_for()
    page.locator("article a", has_text="03").last.click()
    page.wait_for_url("**/03_training_from_scratch.html")
    assert page.evaluate(LAYOUT)["broken"] == []
    watched.assert_clean()
