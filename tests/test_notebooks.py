"""What every reader of the notebooks relies on: order, size, language, a closed test set, one set-up cell."""

import ast
import json
import re
from pathlib import Path

import pytest

from cifarlib import BACKBONES, load_runs, published_table

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells(path: Path, kind: str = "code") -> list[dict]:
    """Return a notebook's cells of one kind, each source in one string."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell | {"source": "".join(cell["source"])} for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_the_series_is_complete():
    names = "data_exploration data_augmentation training_from_scratch transfer_learning test_comparison"
    assert [path.stem for path in NOTEBOOKS][:5] == [f"{n:02d}_{name}" for n, name in enumerate(names.split(), 1)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_run_in_order_without_warnings_and_small(path):
    assert path.stat().st_size < 1_000_000
    code = cells(path)
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"
            shown = json.dumps(output.get("text") or output["data"].get("text/plain", ""))
            assert "Warning" not in shown
            assert not re.search(r"/(home|work|tmp|root|usr)/", shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_set_up_cell_is_one_and_the_same(path):
    (first,) = (cell["source"] for cell in cells(NOTEBOOKS[0]) if "CLONE_URL" in cell["source"])
    (here,) = (cell["source"] for cell in cells(path) if "CLONE_URL" in cell["source"])
    assert here == first


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chinese_passages_come_with_their_english(path):
    for cell in cells(path, "markdown"):
        if len(re.findall(r"[\u4e00-\u9fff]", cell["source"])) > 60:
            assert re.search(r"^> .*[A-Za-z]{3}", cell["source"], re.M), cell["source"][:80]


@pytest.mark.parametrize("path", NOTEBOOKS[:4], ids=lambda path: path.stem)
def test_the_test_set_stays_closed_before_notebook_05(path):
    loads = 0
    for cell in cells(path):
        for node in ast.walk(ast.parse(cell["source"])):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "load_cifar100":
                assert [part.value for part in node.args] == ["train"], cell["source"]
                loads += 1
            used = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            assert used not in {"test", "predictions", "comparison", "load_model", "results_figure"}, cell["source"]
    assert loads >= 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for cell in cells(path, "markdown"):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", cell["source"]):
            assert (path.parent / target).exists(), target


def test_the_readme_shows_what_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
    for path in NOTEBOOKS:
        assert path.name in text


def test_the_readme_table_is_that_of_the_records():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    published = published_table().set_index(["backbone", "image_size"])
    for backbone in BACKBONES:
        expected = [backbone]
        for init, column in (("scratch", "accuracy_scratch"), ("imagenet", "accuracy_pretrained")):
            (run,) = load_runs(backbone=backbone, image_size=32, init=init, budget="quick") or [None]
            expected.append(f"{run.test['accuracy']:.1%}" if run else "open")
            cells = [(backbone, size) for size in (32, 64, 128)]
            known = (f"{published.loc[c, column]:.1%}" if c in published.index else "–" for c in cells)
            expected.append(" / ".join(known))
        assert f"| {' | '.join(expected)} |" in text
