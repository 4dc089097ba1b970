"""Try one small net of each of timm's families: is there a row in model_table for what trains?

    python scripts/timm_families.py --out timm_families.csv

Writes one row a family and image size (pixels). In the columns created, table, trained and memory
stands an error's kind and last words, and nothing where all went well; memory is whether the
gradients of a step are the same whatever new memory is filled with, in float32 and in bfloat16.
"""

import argparse
import csv
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from gradients import cases_of, compare
from torch import nn
from torch.nn.functional import cross_entropy

from cifarlib import create_model, model_table
from cifarlib.utils.errors import last_line
from cifarlib.utils.files import atomic_path, ensure_folder

COLUMNS = ["family", "backbone", "image_size", "created", "table", "trained", "memory"]
CLASSES = 100
BATCH = 4  # pictures
NOT_CREATED = "not created"

log = logging.getLogger("timm_families")


def count_parameters(name: str) -> int:
    """Return how many parameters a net of timm's has, with CLASSES classes."""
    with torch.device("meta"):  # takes no memory
        model = timm.create_model(name, num_classes=CLASSES)
    return sum(parameter.numel() for parameter in model.parameters())


def smallest_member(family: str) -> tuple[str, int]:
    """Return the net of fewest parameters among a family's, and how many; ValueError if none."""
    sizes: dict[str, int] = {}
    for name in timm.list_models(module=family):
        try:
            sizes[name] = count_parameters(name)
        except Exception as error:  # a net may raise any kind; another of its family stands for it
            log.warning("%s cannot be counted: %s", name, in_words(error))
    if not sizes:
        raise ValueError(f"no net of timm's {family} can be counted, expected one or more")
    smallest = min(sizes, key=lambda name: sizes[name])
    return smallest, sizes[smallest]


def in_words(error: Exception) -> str:
    """Return an error's kind and its last line."""
    return f"{type(error).__name__}: {last_line(error)}"


def attempt(task: Callable[[], object]) -> str:
    """Run a task; return its error in words, or nothing if there was none."""
    try:
        task()
    except Exception as error:  # what a net raises is what is being looked for
        return in_words(error)
    return ""


def train_step(model: nn.Module, image_size: int) -> None:
    """Run one forward and backward pass of BATCH random pictures through a net."""
    pictures = torch.randn(BATCH, 3, image_size, image_size)
    labels = torch.arange(BATCH)
    cross_entropy(model.train()(pictures), labels).backward()


def try_net(backbone: str, image_size: int) -> dict[str, str]:
    """Return what became of a net at an image size (pixels), under the last four COLUMNS."""
    models = []
    created = attempt(
        lambda: models.append(create_model(backbone, CLASSES, image_size=image_size)),
    )
    table = attempt(lambda: model_table([backbone], [image_size]))
    trained = NOT_CREATED
    if models:
        trained = attempt(lambda: train_step(models[0], image_size))
    memory = NOT_CREATED
    if models:
        memory = attempt(lambda: check_gradients(backbone, image_size))
    return {"created": created, "table": table, "trained": trained, "memory": memory}


def check_gradients(backbone: str, image_size: int) -> None:
    """Raise ValueError if a net's gradients depend on what new memory is filled with."""
    cases = cases_of([backbone], ["imagenet"], [image_size])
    for case, (first, second) in zip(cases, compare(cases), strict=True):
        if first != second:
            raise ValueError(f"in {case.precision} the gradients depend on the memory before")


def disagreements(row: dict[str, str]) -> list[str]:
    """Return what is wrong with a row.

    That is: its outcomes differ, an error is no ValueError, or gradients depend on memory.
    """
    wrong = []
    if row["trained"] == "" and row["table"] != "":
        wrong.append(f"trained but no table: {row['table']}")
    if row["created"] != "" and row["table"] == "":
        wrong.append(f"a table but not created: {row['created']}")
    if row["created"] == "" and row["trained"] != "":
        wrong.append(f"created but not trained: {row['trained']}")
    for step in ("created", "table"):
        if row[step] != "" and not row[step].startswith("ValueError: "):
            wrong.append(f"{step} ends in a traceback: {row[step]}")
    if row["memory"] not in ("", NOT_CREATED):
        wrong.append(row["memory"])
    return wrong


def try_family(family: str, image_sizes: list[int], most: float) -> list[dict[str, str]]:
    """Return one row for each image size, none for a family left out; most: million parameters."""
    try:
        backbone, parameters = smallest_member(family)
    except ValueError as error:
        log.warning("%s is left out: %s", family, error)
        return []
    if parameters > most * 1e6:
        log.warning("%s is left out: %s has %.0f M", family, backbone, parameters / 1e6)
        return []
    rows = []
    for image_size in image_sizes:
        start = time.perf_counter()
        row = {"family": family, "backbone": backbone, "image_size": str(image_size)}
        row |= try_net(backbone, image_size)
        rows.append(row)
        seconds = time.perf_counter() - start
        outcome = "; ".join(disagreements(row)) or row["created"] or "good"
        log.info("%s %d px, %.1f s: %s", backbone, image_size, seconds, outcome)
    return rows


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    """Write the rows to a CSV file."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def print_summary(rows: list[dict[str, str]]) -> None:
    """Print how many nets were created, tabulated and trained, and which outcomes disagree."""
    for image_size in dict.fromkeys(row["image_size"] for row in rows):
        alike = [row for row in rows if row["image_size"] == image_size]
        counts = []
        for step in COLUMNS[3:]:
            good = sum(row[step] == "" for row in alike)
            counts.append(f"{step} {good}")
        print(f"{image_size} px: {len(alike)} families, {', '.join(counts)}")
    for row in rows:
        for wrong in disagreements(row):
            print(f"{row['backbone']} {row['image_size']} px {wrong}")


def main() -> int:
    """Try the families, write the table, print what disagrees; bad input gives exit code 2."""
    parser = argparse.ArgumentParser(description="Try one small net of each of timm's families.")
    parser.add_argument("families", nargs="*", help="Timm's modules; all by default.")
    parser.add_argument("--image-sizes", nargs="+", type=int, default=[32, 64], help="Pixels.")
    parser.add_argument("--most", type=float, default=60, help="Million parameters of a net.")
    parser.add_argument("--out", type=Path, default=Path("timm_families.csv"), help="The table.")
    asked = parser.parse_args()
    unknown = sorted(set(asked.families) - set(timm.list_modules()))
    if unknown:
        print(f"error: got {unknown[0]!r}, expected a module of timm.models", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    warnings.simplefilter("ignore")  # timm's own, of old names and the like
    torch.manual_seed(0)
    rows: list[dict[str, str]] = []
    try:
        ensure_folder(asked.out.parent)
        for family in asked.families or timm.list_modules():
            rows += try_family(family, asked.image_sizes, asked.most)
            # written family by family, so that what is stopped keeps what it found
            write_table(asked.out, rows)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print_summary(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
