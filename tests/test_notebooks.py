"""What readers of the notebooks rely on: order, size, language, a closed test set."""

import ast
import importlib
import itertools
import json
import os
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from helpers import small_set
from prose import NOTEBOOKS, ROOT, cells, outputs_in_words, prose

from cifarlib import BACKBONES, Run
from cifarlib.config import IMAGE_SIZES
from cifarlib.experiments.store import largest_run
from cifarlib.lessons.test_comparison.fair import KINDS
from cifarlib.published.read import published_table

NAMES = [
    "01_data_exploration",
    "02_data_augmentation",
    "03_training_from_scratch",
    "04_transfer_learning",
    "05_test_comparison",
    "06_small_images",
    "07_behind_the_numbers",
]
of_each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_the_series_is_complete():
    assert [path.stem for path in NOTEBOOKS] == NAMES


@of_each_notebook
def test_notebooks_are_small_and_committed_run_in_order(path):
    assert path.stat().st_size < 1_000_000
    counts = [cell["execution_count"] for cell in cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@of_each_notebook
def test_notebooks_show_no_error_no_warning_and_no_folder_of_ours(path):
    outputs = itertools.chain.from_iterable(cell["outputs"] for cell in cells(path))
    for output in outputs:
        assert output["output_type"] != "error"
        assert output.get("name") != "stderr"
        shown = json.dumps(output.get("text") or output["data"].get("text/plain", ""))
        assert "Warning" not in shown
        assert not re.search(r"/(home|work|tmp|root|usr)/", shown)


@of_each_notebook
def test_the_set_up_cell_is_one_and_the_same(path):
    first = cells(NOTEBOOKS[0])[0]["source"]
    assert "CLONE_URL" in first
    assert cells(path)[0]["source"] == first


# --- the live run ---------------------------------------------------------------------------------


@of_each_notebook
def test_chinese_passages_come_with_their_english(path):
    for cell in cells(path, "markdown"):
        if len(re.findall(r"[\u4e00-\u9fff]", cell["source"])) > 60:
            assert re.search(r"^> .*[A-Za-z]{3}", cell["source"], re.M), cell["source"][:80]


@of_each_notebook
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", prose(path)):
        assert (path.parent / target).exists(), target


# --- the test set stays closed --------------------------------------------------------------------

TELL_OF_THE_TEST = {
    "test",
    "predictions",
    ".correct",
    "comparison_cells",
    "side_by_side",
    "fair_pairs",
    "tta_gains",
    "load_model",
    "results_figure",
}


@pytest.mark.parametrize("path", NOTEBOOKS[:4], ids=lambda path: path.stem)
def test_the_test_set_stays_closed_before_notebook_05(path):
    loads = 0
    for cell in cells(path):
        for node in ast.walk(ast.parse(cell["source"])):
            assert name_used(node) not in TELL_OF_THE_TEST, cell["source"]
            assert f".{getattr(node, 'attr', '')}" not in TELL_OF_THE_TEST, cell["source"]
            if isinstance(node, ast.Call) and name_used(node.func) == "load_cifar100":
                assert [part.value for part in node.args] == ["train"], cell["source"]
                loads += 1
    assert loads >= 1


def name_used(node: ast.AST) -> str:
    """Return the name that a piece of code reads."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return getattr(node, "id", "")


# --- the telling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS[:5], ids=lambda path: path.stem)
def test_the_story_is_told_at_the_write_ups_scale(path):
    shown = outputs_in_words(path)
    assert not re.search(r"\b(smoke|quick|twelve)\b", shown)
    assert "quick" not in prose(path)


@of_each_notebook
def test_no_notebook_speaks_of_rehearsals(path):
    code = "\n".join(cell["source"] for cell in cells(path))
    assert "smoke" not in code + prose(path) + outputs_in_words(path)


@of_each_notebook
def test_tables_are_short(path):
    for cell in cells(path):
        for output in cell["outputs"]:
            table = "".join(output.get("data", {}).get("text/html", ""))
            if "dataframe" in table:
                assert table.count("<tr") - table.count("<thead") <= 12, cell["source"]


@of_each_notebook
def test_no_cell_shows_a_raw_list_or_dict(path):
    for cell in cells(path):
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "text/html" not in data:
                assert not "".join(data.get("text/plain", "")).startswith(("[", "{")), cell[
                    "source"
                ]


@of_each_notebook
def test_each_figure_carries_a_digest_of_its_numbers(path):
    figures = 0
    for cell in cells(path):
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                figures += 1
                assert "".join(data["text/plain"]).startswith("figure: "), cell["source"]
    assert figures >= 4


@of_each_notebook
def test_the_first_cells_are_short(path):
    set_up, imports = (cell["source"] for cell in cells(path)[:2])
    assert len(set_up.splitlines()) <= 26
    lines = [line for line in imports.splitlines() if line.startswith(("import", "from"))]
    assert len(lines) < 10


@of_each_notebook
def test_a_lesson_offers_what_its_notebook_uses_and_no_more(path):
    lesson = importlib.import_module(f"cifarlib.lessons.{path.stem[3:]}")
    sources = [cell["source"] for cell in cells(path)]
    used = set(re.findall(r"\blesson\.(\w+)", "\n".join([*sources, *answers(path)])))
    assert used == set(lesson.__all__)


def answers(path: Path) -> list[str]:
    """Return the code of a notebook's folded answers."""
    folded = re.findall(r"<details>.*?</details>", prose(path), re.S)
    return [code for part in folded for code in re.findall(r"```python\n(.*?)```", part, re.S)]


@pytest.mark.slow
@of_each_notebook
def test_the_answers_to_the_exercises_run(path, monkeypatch):
    plt.switch_backend("agg")
    names = {"train": small_set("train", 1000), "valid": small_set("train", 500), "sys": sys}
    names |= {"test": small_set("test", 300), "os": os, "pd": pd}
    (imports,) = [c["source"] for c in cells(path) if "import cifarlib as cl" in c["source"]]
    exec(imports, names)
    codes = answers(path)
    assert len(codes) >= 2
    for code in codes:
        exec(code, dict(names))
    plt.close("all")


# --- the README -----------------------------------------------------------------------------------


def readme() -> str:
    """Return the README's text."""
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_links_to_what_is_there_and_names_every_notebook():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", readme()):
        assert (ROOT / target).exists(), target
    for path in NOTEBOOKS:
        assert path.name in readme()


def readme_cell(run: Run | None) -> str:
    """Return what the README's table says of a cell at one budget."""
    if run is None:
        return "open"
    mark = " †" if run.is_held_back else ""
    return f"{run.test['accuracy']:.1%}{mark}"


def readme_row(backbone: str, start: str) -> str:
    """Return a row of the README's table: at each size ours and the published."""
    init, _, column = KINDS[start]
    accuracies = published_table().set_index(["image_size", "backbone"])[column].to_dict()
    runs = [largest_run(backbone, size, init, budgets=["writeup"]) for size in IMAGE_SIZES]
    ours = " / ".join(readme_cell(run) for run in runs)
    known = [accuracies.get((size, backbone)) for size in IMAGE_SIZES]
    published = " / ".join(f"{accuracy:.1%}" if accuracy else "–" for accuracy in known)
    return f"| {backbone} | {start} | {ours} | {published} |"


@pytest.mark.parametrize("start", ["scratch", "fine-tuned"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_readme_table_is_that_of_the_records(backbone, start):
    assert readme_row(backbone, start) in readme()
