"""What readers of the notebooks rely on: order, size, language, a closed test set."""

import ast
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from cifarlib import BACKBONES, Run, largest_run, published_table
from cifarlib.config import IMAGE_SIZES
from cifarlib.report.tables import KINDS
from cifarlib.runs.store import find_published_run, find_superseded

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [
    "01_data_exploration",
    "02_data_augmentation",
    "03_training_from_scratch",
    "04_transfer_learning",
    "05_test_comparison",
    "06_small_images",
]
SMALL = "ResNet18-32px-scratch-writeup-recipe_onecycle-policy_natural-stem_cifar"

of_each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str = "code") -> list[dict]:
    """Return a notebook's cells of one kind, each source in one string."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    found = [cell for cell in notebook["cells"] if cell["cell_type"] == kind]
    return [cell | {"source": "".join(cell["source"])} for cell in found]


def prose(path: Path) -> str:
    """Return all that a notebook says between its code."""
    return "\n".join(cell["source"] for cell in cells(path, "markdown"))


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
    (first,) = (cell["source"] for cell in cells(NOTEBOOKS[0]) if "CLONE_URL" in cell["source"])
    (here,) = (cell["source"] for cell in cells(path) if "CLONE_URL" in cell["source"])
    assert here == first


# --- the set-up cell ------------------------------------------------------------------------------


def set_up(folder: Path, beforehand: str = "", **surroundings: str) -> subprocess.CompletedProcess:
    """Run the set-up cell in a folder, in a process without git."""
    (cell,) = (c["source"] for c in cells(NOTEBOOKS[0]) if "CLONE_URL" in c["source"])
    code = f"{beforehand}\n{cell}\nimport cifarlib; print(cifarlib.__file__)"
    kept = {name: value for name, value in os.environ.items() if name != "CIFARLIB_CLONE_URL"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=kept | {"PATH": ""} | surroundings,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_the_set_up_cell_takes_the_clone_that_it_lies_in():
    done = set_up(ROOT / "notebooks")
    assert done.stdout.strip() == str(ROOT / "cifarlib" / "__init__.py"), done.stderr


def test_the_set_up_cell_needs_neither_git_nor_network_where_cifarlib_is_installed(tmp_path):
    done = set_up(tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_the_set_up_cell_names_no_address_and_asks_for_one(tmp_path):
    (cell,) = (c["source"] for c in cells(NOTEBOOKS[0]) if "CLONE_URL" in c["source"])
    assert "http" not in cell
    assert "github" not in cell
    nothing_installed = "import importlib.util; importlib.util.find_spec = lambda name: None"
    done = set_up(tmp_path, nothing_installed)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.endswith("no cifarlib here: set CIFARLIB_CLONE_URL, and run this again")


# --- the live run ---------------------------------------------------------------------------------


def test_the_live_cell_of_03_run_again_shows_what_was_trained(train, monkeypatch):
    drawn = []

    class Shown:
        """A figure on display: what it showed at last."""

        def __init__(self, figure, display_id):
            self.update(figure)

        def update(self, figure):
            drawn.append([len(line.get_xdata()) for line in figure.axes[0].lines])

    monkeypatch.setattr("IPython.display.display", Shown)
    plt.switch_backend("agg")
    sources = [cell["source"] for cell in cells(NOTEBOOKS[2])]
    (live,) = (number for number, source in enumerate(sources) if "live = Trainer(" in source)
    imports = [source for source in sources[:live] if source.startswith(("import", "from"))]
    names = {"train": train[:100], "valid": train[100:150], "sys": sys, "os": os}
    small = sources[live].replace('"ResNet18"', '"test_resnet"')
    for source in [*imports, small, sources[live + 1], sources[live + 1]]:
        exec(source, names)
    plt.close("all")
    # the line of guessing has two points, training and validation one an epoch
    assert drawn[0] == [2, 0, 0]
    assert drawn[3] == drawn[4] == [2, 3, 3]


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
    "comparison",
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


# --- numbers in the prose -------------------------------------------------------------------------

MARKED = re.compile(r"([+\-−]?\d+(?:\.\d+)?)( ?%| 個百分點| points?)?<!--([^:>]+):([^>]+)-->")


def recorded(run_id: str, measure: str) -> float:
    """Return what a mark names; "a - b" subtracts.

    A measure is column@last, @best (by accuracy), @lowest (by loss) or @epoch.
    """
    if run_id.startswith("superseded "):
        run = find_superseded(run_id.removeprefix("superseded "))
    else:
        run = find_published_run(run_id)
    assert run, f"no record of {run_id}"
    history = run.history.set_index("epoch", drop=False)
    places = {
        "last": history.index[-1],
        "best": history.valid_accuracy.idxmax(),
        "lowest": history.valid_loss.idxmin(),
    }
    values = []
    for part in measure.split(" - "):
        column, place = part.split("@")
        scale = 100 if column.endswith("accuracy") else 1
        epoch = places[place] if place in places else int(place)
        values.append(scale * history[column][epoch])
    return values[0] - sum(values[1:])


def wrong_numbers(text: str) -> list[str]:
    """Return the marked numbers of a text that are not their record's, rounded as written."""
    wrong = []
    for number, _, run_id, measure in MARKED.findall(text):
        decimals = len(number.partition(".")[2])
        value = recorded(run_id, measure)
        if f"{value:.{decimals}f}" != number.replace("−", "-").lstrip("+"):
            wrong.append(f"{number}: {run_id} has {value:.4f} as {measure}")
    return wrong


@pytest.mark.parametrize("path", [*NOTEBOOKS[2:4], *NOTEBOOKS[5:]], ids=lambda path: path.stem)
def test_numbers_in_the_prose_are_those_of_the_records(path):
    text = prose(path)
    assert text.count("<!--") == len(MARKED.findall(text)) >= 4
    assert wrong_numbers(text) == []


def test_a_wrong_number_in_the_prose_is_caught():
    mark = "<!--ResNet18-32px-scratch-quick:valid_accuracy@last-->"
    right = recorded("ResNet18-32px-scratch-quick", "valid_accuracy@last")
    assert wrong_numbers(f"{right:.1f} %{mark}") == []
    assert wrong_numbers(f"{right + 0.1:.1f} %{mark}") != []
    difference = "<!--ResNet18-32px-scratch-quick:train_loss@last - train_loss@last-->"
    assert wrong_numbers(f"0.0 points{difference}") == []


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
    """Return a row of the README's table: at each size ours at two budgets, and the published."""
    init, _, column = KINDS[start]
    accuracies = published_table().set_index(["image_size", "backbone"])[column].to_dict()
    row = [backbone, start]
    for budget in ("quick", "writeup"):
        runs = [largest_run(backbone, size, init, budgets=[budget]) for size in IMAGE_SIZES]
        row.append(" / ".join(readme_cell(run) for run in runs))
    known = [accuracies.get((size, backbone)) for size in IMAGE_SIZES]
    row.append(" / ".join(f"{accuracy:.1%}" if accuracy else "–" for accuracy in known))
    return f"| {' | '.join(row)} |"


@pytest.mark.parametrize("start", ["scratch", "fine-tuned"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_readme_table_is_that_of_the_records(backbone, start):
    assert readme_row(backbone, start) in readme()


def test_the_readme_says_how_good_the_net_for_small_pictures_is():
    accuracy = 100 * find_published_run(SMALL).test["accuracy"]
    best_published = 100 * published_table().accuracy_scratch.max()
    assert f"測試 {accuracy:.1f} %" in readme()
    assert f"reaches {accuracy:.1f} % on test" in readme()
    assert readme().count(f"{best_published:.1f} %") == 2
