"""What every reader of the notebooks relies on: order, size, language, a closed test set, one set-up cell."""

import ast
import itertools
import json
import re
from pathlib import Path

import pytest

from cifarlib import BACKBONES, largest_run, published_table
from cifarlib.experiments import IMAGE_SIZES
from cifarlib.records import PUBLISHED, read_record
from cifarlib.results import KINDS

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells(path: Path, kind: str = "code") -> list[dict]:
    """Return a notebook's cells of one kind, each source in one string."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell | {"source": "".join(cell["source"])} for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_the_series_is_complete():
    names = "data_exploration data_augmentation training_from_scratch transfer_learning test_comparison small_images"
    assert [path.stem for path in NOTEBOOKS] == [f"{n:02d}_{name}" for n, name in enumerate(names.split(), 1)]


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


MARKED = re.compile(r"([+\-−]?\d+(?:\.\d+)?)( ?%| 個百分點| points?)?<!--([^:>]+):([^>]+)-->")


def recorded(run_id: str, measure: str) -> float:
    """Return what a mark names: column@last, @best (by accuracy), @lowest (by loss) or @epoch; "a - b" subtracts."""
    history = read_record(PUBLISHED / f"{run_id}.json").history.set_index("epoch", drop=False)
    places = {"last": history.index[-1], "best": history.valid_accuracy.idxmax(), "lowest": history.valid_loss.idxmin()}
    values = []
    for part in measure.split(" - "):
        column, place = part.split("@")
        scale = 100 if column.endswith("accuracy") else 1
        values.append(scale * history[column][places[place] if place in places else int(place)])
    return values[0] - sum(values[1:])


def wrong_numbers(text: str) -> list[str]:
    """Return the marked numbers of a text that are not their record's, rounded as they are written."""
    wrong = []
    for number, _, run_id, measure in MARKED.findall(text):
        decimals = len(number.partition(".")[2])
        if f"{recorded(run_id, measure):.{decimals}f}" != number.replace("−", "-").lstrip("+"):
            wrong.append(f"{number}: {run_id} has {recorded(run_id, measure):.4f} as {measure}")
    return wrong


@pytest.mark.parametrize("path", [*NOTEBOOKS[2:4], *NOTEBOOKS[5:]], ids=lambda path: path.stem)
def test_numbers_in_the_prose_are_those_of_the_records(path):
    text = "\n".join(cell["source"] for cell in cells(path, "markdown"))
    assert text.count("<!--") == len(MARKED.findall(text)) >= 4
    assert wrong_numbers(text) == []


def test_a_wrong_number_in_the_prose_is_caught():
    mark = "<!--ResNet18-32px-scratch-quick:valid_accuracy@last-->"
    right = recorded("ResNet18-32px-scratch-quick", "valid_accuracy@last")
    assert wrong_numbers(f"{right:.1f} %{mark}") == []
    assert wrong_numbers(f"{right + 0.1:.1f} %{mark}") != []
    assert wrong_numbers("0.0 points<!--ResNet18-32px-scratch-quick:train_loss@last - train_loss@last-->") == []


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


def readme_row(backbone: str, start: str) -> str:
    """Return a row of the README's table: at 32, 64 and 128 px ours at two budgets, and the published."""
    init, _, column = KINDS[start]
    accuracies = published_table().set_index(["image_size", "backbone"])[column].to_dict()
    row = [backbone, start]
    for budget in ("quick", "writeup"):
        runs = [largest_run(backbone, size, init, budgets=[budget]) for size in IMAGE_SIZES]
        row.append(" / ".join(f"{run.test['accuracy']:.1%}" if run else "open" for run in runs))
    known = [accuracies.get((size, backbone)) for size in IMAGE_SIZES]
    row.append(" / ".join(f"{accuracy:.1%}" if accuracy else "–" for accuracy in known))
    return f"| {' | '.join(row)} |"


def test_the_readme_table_is_that_of_the_records():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for backbone, start in itertools.product(BACKBONES, ("scratch", "fine-tuned")):
        assert readme_row(backbone, start) in text
    small = read_record(PUBLISHED / "ResNet18-32px-scratch-writeup-recipe_onecycle-policy_natural-stem_cifar.json")
    best = published_table().accuracy_scratch.max()
    for said in (f"測試 {100 * small.test['accuracy']:.1f} %", f"reaches {100 * small.test['accuracy']:.1f} % on test"):
        assert said in text
    assert text.count(f"{100 * best:.1f} %") == 2
