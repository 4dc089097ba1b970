"""What the notebooks say, and what the records say of the same numbers."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd

from cifarlib.experiments.store import find_published_run, find_superseded
from cifarlib.lessons.curves import distance_to_published
from cifarlib.published.read import measured_batch_norm, published_curve, published_table

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NUMBERS = Path(__file__).parent / "prose_numbers"  # NN.toml a notebook, README.toml
INITS = {"scratch": "scratch", "imagenet": "pretrained"}

BRACED = re.compile(r"\{([^}]*)\}")
NUMBER = re.compile(r"[+\-−]?\d[\d,]*(?:\.\d+)?")
# numbers that claim a measurement: with decimals, or in per cent or points
CLAIM = re.compile(r"\d[\d,]*\.\d+|\d[\d,]*(?=\s?(?:%|％|個百分點| points?\b))")


def cells(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    """Return a notebook's cells of one kind, each source in one string."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    found = [cell for cell in notebook["cells"] if cell["cell_type"] == kind]
    return [cell | {"source": "".join(cell["source"])} for cell in found]


def prose(path: Path) -> str:
    """Return all that a notebook says between its code, or a README's text."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n".join(cell["source"] for cell in cells(path, "markdown"))


def outputs_in_words(path: Path) -> str:
    """Return what a notebook's cells show as text."""
    shown = []
    for cell in cells(path):
        for output in cell["outputs"]:
            data = output.get("data", {})
            for text in (output.get("text"), data.get("text/plain"), data.get("text/html")):
                shown.append("".join(text or ""))
    return "\n".join(shown)


# --- numbers --------------------------------------------------------------------------------------


def marked_numbers(path: Path) -> list[dict[str, str]]:
    """Return the entries of a text's numbers file; none where it has no such file.

    Each: says (words of the text, the number in braces), and what value_of needs, or a source.
    """
    name = path.stem.partition("_")[0]
    file = NUMBERS / f"{name}.toml"
    if not file.exists():
        return []
    return tomllib.loads(file.read_text(encoding="utf-8"))["number"]


def value_of(entry: dict[str, str]) -> float:
    """Return the number that an entry is about: accuracies in per cent.

    record, superseded (a run's id) or published ("backbone px init"), with measure: column@place
    (a place is last, best, lowest or an epoch), "a - b", test.accuracy or distance.valid; minus:
    the same measure of another is subtracted. batch_norm: a run's id, with "column@statistics".
    computed: a sum of numbers beside it, such as "22.7 + 16.9 - 5.6".
    """
    if "computed" in entry:
        return sum(
            float(part) for part in re.findall(r"[+-]?[\d.]+", entry["computed"].replace(" ", ""))
        )
    value = _measured(entry, entry["measure"])
    if "minus" in entry:
        kind = next(kind for kind in ("record", "superseded", "published") if kind in entry)
        value -= _measured({kind: entry["minus"]}, entry["measure"])
    return value


def _measured(source: dict[str, str], measure: str) -> float:
    if "batch_norm" in source:
        column, _, statistics = measure.partition("@")
        table = measured_batch_norm().set_index(["run", "statistics"])
        return _scaled(column, table.loc[(source["batch_norm"], statistics), column])
    if "published" in source:
        return _of_published(source["published"], measure)
    if "superseded" in source:
        run = find_superseded(source["superseded"])
    else:
        run = find_published_run(source["record"])
    assert run, f"no record for {source}"
    if measure.startswith("test."):
        return 100 * run.test[measure.removeprefix("test.")]
    if measure.startswith("distance."):
        return distance_to_published(run)[measure.removeprefix("distance.")]
    return _at_place(run.history.set_index("epoch", drop=False), measure)


def _of_published(cell: str, measure: str) -> float:
    backbone, size, init = cell.split()
    if measure.startswith("test."):
        column = f"accuracy_{INITS[init]}"
        if measure == "test.tta_accuracy":
            column += "_tta3"
        table = published_table().set_index(["backbone", "image_size"])
        return 100 * table.loc[(backbone, int(size)), column]
    curve = published_curve(backbone, int(size), init)
    return _at_place(curve.assign(epoch=curve.index), measure)


def _at_place(history: pd.DataFrame, measure: str) -> float:
    """Return a column of a history at a place, or the difference of several."""
    places = {
        "last": history.index[-1],
        "best": history.valid_accuracy.idxmax(),
        "lowest": history.valid_loss.idxmin(),
    }
    values = []
    for part in measure.split(" - "):
        column, _, place = part.partition("@")
        epoch = places[place] if place in places else int(place)
        values.append(_scaled(column, history[column][epoch]))
    return values[0] - sum(values[1:])


def _scaled(column: str, value: float) -> float:
    return 100 * value if column.endswith("accuracy") else float(value)


def wrong_numbers(text: str, entries: list[dict[str, str]]) -> list[str]:
    """Return what is wrong with a text's marked numbers: not said there, or not the record's."""
    wrong = []
    for entry in entries:
        says = entry["says"]
        plain = BRACED.sub(r"\1", says)
        if plain not in text:
            wrong.append(f"{plain!r} is not in the text")
            continue
        if "source" in entry:  # somebody else's number: who says so is told, not worked out
            continue
        (braced,) = BRACED.findall(says)
        number = NUMBER.search(braced)
        if number is None:
            wrong.append(f"{says!r} marks no number")
            continue
        said = number[0].replace(",", "").replace("−", "-").lstrip("+")
        decimals = len(said.partition(".")[2])
        value = value_of(entry)
        if f"{value:.{decimals}f}" != said and f"{abs(value):.{decimals}f}" != said:
            wrong.append(f"{plain!r}: the record has {value:.4f}")
    return wrong


def unfounded_numbers(path: Path) -> list[str]:
    """Return the measured numbers of a notebook's prose that nothing beside it holds.

    That is: no output of the notebook, no code, and no entry of its numbers file.
    """
    known = outputs_in_words(path)
    known += "\n".join(cell["source"] for cell in cells(path))
    known += "\n".join(entry["says"] for entry in marked_numbers(path))
    founded = set(re.findall(r"\d[\d,]*(?:\.\d+)?", known))
    founded |= {number.replace(",", "") for number in founded}
    # said in outputs as 39.8%, in the prose as about 40: rounding is allowed
    rounded = set()
    for number in founded:
        with_point = number.replace(",", "")
        if "." in with_point:
            rounded.add(f"{float(with_point):.0f}")
            rounded.add(f"{float(with_point):.1f}")
    founded |= rounded
    missing = []
    text = re.sub(r"<details>.*?</details>", "", prose(path), flags=re.S)
    for line in text.splitlines():
        for number in CLAIM.findall(re.sub(r"`[^`]*`|\]\([^)]*\)|\$[^$]*\$", "", line)):
            if number not in founded:
                missing.append(f"{number}: {line[:60]}")
    return missing
