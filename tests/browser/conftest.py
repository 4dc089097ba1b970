"""A real browser: Playwright drives the system's Chromium; without either these tests skip."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# a camera that shows a test picture, and nobody to ask for leave
OPTIONS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
WIDE = {"width": 1400, "height": 900}


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, headless."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    paths = [path for path in map(shutil.which, NAMES) if path]
    if not paths:
        pytest.skip(f"no browser: looked for {', '.join(NAMES)}")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=paths[0], args=OPTIONS)
        yield chromium
        chromium.close()


class Watched:
    """A page, what its console complained of, and what it asked other hosts for."""

    def __init__(self, page: Any, home: str) -> None:
        self.page = page
        self.home = home  # what every address that the page may ask begins with
        self.errors: list[str] = []
        self.outside: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.outside.append(request.url)

    def _failed(self, request: Any) -> None:
        # what was still on its way when the test went to another page did not fail
        if request.failure != "net::ERR_ABORTED":
            self.errors.append(f"failed: {request.url}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status}: {response.url}")

    def assert_clean(self) -> None:
        """Fail where the page complained, or asked another host than its own."""
        assert self.errors == []
        assert self.outside == []


@pytest.fixture
def open_page(browser) -> Iterator[Any]:
    """A function: open_page(address, **options of Playwright's new_context) -> Watched."""
    contexts = []

    def open_it(address: str, *, home: str | None = None, **options: Any) -> Watched:
        context = browser.new_context(**({"viewport": WIDE} | options))
        contexts.append(context)
        watched = Watched(context.new_page(), home or address)
        watched.page.goto(address)
        return watched

    yield open_it
    for context in contexts:
        context.close()


def address_of(path: Path) -> str:
    """Return the file: address of a page on disk."""
    return path.resolve().as_uri()
