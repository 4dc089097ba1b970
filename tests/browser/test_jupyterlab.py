"""The notebooks in JupyterLab, by mouse and keyboard: what nbval cannot see."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PATIENCE = 60_000  # milliseconds, for JupyterLab itself
# of two slow cores with other work: a notebook's cells
RUN_PATIENCE = 900_000  # milliseconds
START_PATIENCE = 90  # seconds
SETTINGS = {
    # every cell is in the page, not only those in view
    "notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
    # no question about news, no look for a newer version
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "codemirror-extension/plugin": {"defaultConfig": {"autoClosingBrackets": False}},
}
ERROR = "[data-mime-type='application/vnd.jupyter.error']"
PROMPTS = ".jp-CodeCell .jp-InputPrompt"
ENDED = f"""() => {{
    const prompts = [...document.querySelectorAll("{PROMPTS}")];
    const ran = prompts.length > 0 && prompts.every((one) => /\\[\\d+\\]/.test(one.textContent));
    return ran || document.querySelector("{ERROR}") !== null;
}}"""
NONE_RAN = f"""() => {{
    const prompts = [...document.querySelectorAll("{PROMPTS}")];
    return prompts.length > 0 && !prompts.some((one) => /\\d/.test(one.textContent));
}}"""
BEGUN = f"""() => {{
    const prompts = [...document.querySelectorAll("{PROMPTS}")];
    return prompts.some((one) => /[*\\d]/.test(one.textContent));
}}"""
FIGURES = """() => {
    const figures = document.querySelectorAll(".jp-OutputArea-output img");
    return [...figures].filter((one) => one.naturalWidth > 0).length;
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[str]:
    """JupyterLab over a copy of the notebooks; its address."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, folder / "notebooks")
    settings = folder / "settings"
    for name, values in SETTINGS.items():
        path = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    surroundings = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "CIFARLIB_RUNS": str(folder / "runs"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--IdentityProvider.token=", "notebooks"]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=surroundings,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api", server)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=START_PATIENCE)


def _wait_for(address: str, server: subprocess.Popen) -> None:
    """Wait until JupyterLab answers."""
    until = time.monotonic() + START_PATIENCE
    while time.monotonic() < until:
        assert server.poll() is None, "JupyterLab ended"
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"JupyterLab did not answer within {START_PATIENCE} s")


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page: Any, lab: str, name: str) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE)
        choice = page.locator(".jp-Dialog", has_text="Select Kernel")
        page.add_locator_handler(
            choice,
            lambda: choice.get_by_role("button", name="Select", exact=True).click(),
        )
        page.goto(f"{lab}/lab/tree/{name}?reset")
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        # the indicator says "idle" before there is a kernel, too, and cells run then are lost
        self.wait_for_kernel(f"{lab}/api/sessions", name)
        page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()

    def wait_for_kernel(self, sessions: str, name: str) -> None:
        """Wait until the server says that the page is connected to a kernel that answers."""
        until = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < until:
            with urllib.request.urlopen(sessions, timeout=30) as said:
                kernels = [one["kernel"] for one in json.load(said) if one["path"] == name]
            for kernel in kernels:
                if kernel["connections"] > 0 and kernel["execution_state"] == "idle":
                    return
            self.page.wait_for_timeout(200)
        raise TimeoutError(f"no kernel for {name} within {PATIENCE / 1000:.0f} s: {kernels}")

    def menu(self, *words: str) -> None:
        """Choose an entry of the menu."""
        bar = self.page.get_by_role("menubar")
        bar.get_by_role("menuitem", name=words[0], exact=True).click()
        self.page.locator(".lm-Menu-item", has_text=re.compile(f"^{words[1]}")).click()

    def cell_with(self, text: str) -> Any:
        """Return the code cell whose source holds some text."""
        source = self.page.locator(".jp-InputArea-editor", has_text=text)
        return self.page.locator(".jp-CodeCell", has=source).first

    def replace(self, old: str, new: str) -> None:
        """Edit a cell as a reader does: mark everything, and put the changed text in its place."""
        editor = self.cell_with(old).locator(".cm-content")
        source = editor.inner_text()
        assert old in source
        editor.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source.replace(old, new))

    def begin_all(self) -> None:
        """Take the committed outputs away and start all cells."""
        self.menu("Edit", "Clear Outputs of All Cells")
        self.page.wait_for_function(NONE_RAN)
        self.menu("Run", "Run All Cells")
        self.page.wait_for_function(BEGUN)

    def wait_for_all(self) -> None:
        """Wait until every cell has run, none with an error."""
        self.page.wait_for_function(ENDED, timeout=RUN_PATIENCE)
        assert self.errors() == []

    def errors(self) -> list[str]:
        """Return the tracebacks that the outputs show."""
        return self.page.locator(ERROR).all_text_contents()

    def figures(self) -> int:
        """Return how many pictures the outputs show."""
        return self.page.evaluate(FIGURES)


@pytest.fixture
def open_notebook(open_page, lab) -> Any:
    """A function: open_notebook(name) -> Notebook."""
    return lambda name: Notebook(open_page(f"{lab}/api", home=lab).page, lab, name)


def committed_figures(name: str) -> int:
    """Return how many figures a notebook was committed with."""
    notebook = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))
    outputs = [out for cell in notebook["cells"] for out in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.slow
def test_03_moves_its_bar_draws_its_figures_and_takes_another_backbone(open_notebook):
    name = "03_training_from_scratch.ipynb"
    notebook = open_notebook(name)
    notebook.begin_all()
    bar = notebook.cell_with("history = cl.fit(").locator(".jp-OutputArea").first
    seen: set[str] = set()
    until = time.monotonic() + RUN_PATIENCE / 1000
    while len(seen) < 2 and time.monotonic() < until:
        assert notebook.errors() == []
        seen.update(re.findall(r"fit: +(\d+)%", bar.text_content()))
        time.sleep(0.2)
    assert len(seen) >= 2, f"the bar stood at {seen}"
    notebook.wait_for_all()
    assert notebook.figures() == committed_figures(name)
    notebook.replace('"SE-ResNeXt50"]', '"SE-ResNeXt50", "test_resnet"]')
    notebook.begin_all()
    notebook.wait_for_all()
    tables = notebook.page.locator(".jp-OutputArea-output table", has_text="test_resnet")
    assert tables.count() > 0
    # and the curves of its three trainings, one a size, as they went
    assert notebook.figures() == committed_figures(name) + 3


@pytest.mark.slow
def test_the_guessing_game_of_01_counts_an_answer(open_notebook):
    notebook = open_notebook("01_data_exploration.ipynb")
    notebook.begin_all()
    notebook.wait_for_all()
    game = notebook.cell_with("lesson.quiz(pictures)").locator(".jp-OutputArea")
    game.get_by_text("Which one is it?").wait_for()
    game.get_by_role("button").first.click()
    game.get_by_text(re.compile(r"It was: .+\. [01] of 1 right\.")).wait_for()


@pytest.mark.slow
def test_a_picture_is_uploaded_in_05_and_answered(open_notebook):
    notebook = open_notebook("05_test_comparison.ipynb")
    notebook.replace("MY_PICTURE = None", 'MY_PICTURE = "upload"')
    notebook.begin_all()
    notebook.wait_for_all()
    place = notebook.cell_with("MY_PICTURE =").locator(".jp-OutputArea")
    before = place.locator("img").count()
    photo = io.BytesIO()
    Image.new("RGB", (300, 200), "orange").save(photo, "JPEG")
    with notebook.page.expect_file_chooser() as asked:
        place.get_by_role("button", name="Upload").click()
    asked.value.set_files(
        {"name": "orange.jpg", "mimeType": "image/jpeg", "buffer": photo.getvalue()}
    )
    place.locator("img").nth(before).wait_for()
