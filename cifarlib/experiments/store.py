"""Where recorded runs are kept, one's own and the published ones: found and chosen."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import COMPARED, Experiment
from ..utils.errors import unknown
from ..utils.files import PACKAGE, expanded, user_folder
from .record import RECORD, SUPERSEDED_FOLDER, Run, read_record, todays_id

if TYPE_CHECKING:  # a list of records must not take the seconds that torch does
    from torch import nn

PUBLISHED = PACKAGE / "published" / "records"
SUPERSEDED = PUBLISHED.with_name(SUPERSEDED_FOLDER)  # what another run took the place of
REPRODUCED = "reproduced"  # the folder of runs that were made again, beside one's own


def own_folder(runs_dir: str | Path | None = None) -> Path:
    """Return the folder of one's own runs: the argument, else CIFARLIB_RUNS, else runs/."""
    if runs_dir is not None:
        return expanded(runs_dir)
    return user_folder("CIFARLIB_RUNS", "runs")


def check_named_folder(runs_dir: str | Path | None = None) -> None:
    """Raise ValueError where a folder of one's own runs is named and is none.

    Whoever named it would be shown the published runs as if from it.
    """
    folder = own_folder(runs_dir)
    is_named = runs_dir is not None or bool(os.environ.get("CIFARLIB_RUNS"))
    if is_named and not folder.is_dir():
        raise ValueError(f"{folder}, where runs are looked for, is no folder")


# --- find -----------------------------------------------------------------------------------------


def record_paths(runs_dir: str | Path | None = None) -> dict[str, Path]:
    """Return where each recorded run is, by its id: one's own before published ones."""
    paths = _published_paths() | own_paths(runs_dir)
    return dict(sorted(paths.items()))


def find_own_run(run_id: str, *, runs_dir: str | Path | None = None) -> Run | None:
    """Return one's own run of that id, or None."""
    return _read_if_there(own_paths(runs_dir).get(run_id))


def find_published_run(run_id: str) -> Run | None:
    """Return the published run of that id, or None."""
    return _read_if_there(_published_paths().get(run_id))


def find_superseded(run_id: str) -> Run | None:
    """Return the run that was published under that id before the one that now is, or None."""
    return _read_if_there(superseded_paths().get(run_id))


def superseded_paths() -> dict[str, Path]:
    """Return where each record is that another took the place of, by its id."""
    if not _are_shown():
        return {}
    return records_in(SUPERSEDED)


def find_run(experiment: Experiment | str, *, runs_dir: str | Path | None = None) -> Run | None:
    """Return the run of an experiment on the pictures that are loaded here, or None.

    One's own before the published one; see data_id_here. A run id (str) names its pictures itself.
    """
    if isinstance(experiment, str):
        run_id = experiment
    else:
        run_id = id_on(experiment, data_id_here(experiment.image_size))
    return find_own_run(run_id, runs_dir=runs_dir) or find_published_run(run_id)


def id_on(experiment: Experiment, data_id: str) -> str:
    """Return the id of an experiment's run on some pictures: "…@1a2b3c4d"; "" is CIFAR-100."""
    if data_id:
        return f"{experiment.id}@{data_id}"
    return experiment.id


def data_id_here(image_size: int) -> str:
    """Return which pictures a run is about that is looked for here: "" for CIFAR-100.

    With pictures of one's own in the data folder those; else CIFAR-100, whose published records are
    shown on the stand-in too.
    """
    from ..data.cifar100 import own_data_id  # takes seconds, and a list of records needs none of it

    return own_data_id(image_size)


def load_runs(
    *,
    runs_dir: str | Path | None = None,
    any_data: bool = False,
    **wanted: Any,
) -> list[Run]:
    """Return all recorded runs whose experiment matches, one's own before published ones.

    Only those on the pictures that are loaded here (see data_id_here), unless any_data. wanted: any
    of Experiment's fields, e.g. load_runs(budget="quick", image_size=32). Raises ValueError for a
    field that it has not.
    """
    known = [field.name for field in fields(Experiment)]
    for name in wanted:
        if name not in known:
            raise unknown("field of Experiment", name, known)
    runs = []
    for path in record_paths(runs_dir).values():
        run = read_record(path)
        if not _matches(run.experiment, wanted):
            continue
        # other pictures are another task: their runs are not put beside these unasked
        if any_data or run.data_id == data_id_here(run.experiment.image_size):
            runs.append(run)
    return runs


def _matches(experiment: Experiment, wanted: Mapping[str, Any]) -> bool:
    return all(getattr(experiment, field) == value for field, value in wanted.items())


def own_paths(runs_dir: str | Path | None = None) -> dict[str, Path]:
    """Return where each of one's own recorded runs is, by its id."""
    paths = {}
    for path in own_folder(runs_dir).glob(f"*/{RECORD}"):
        run_id = todays_id(path.parent.name)
        # a folder under today's name is newer than one under an old name
        if run_id not in paths or path.parent.name == run_id:
            paths[run_id] = path
    return paths


def _published_paths() -> dict[str, Path]:
    if not _are_shown():
        return {}
    return records_in(PUBLISHED)


def _are_shown() -> bool:
    """Return whether the package's records are, or hidden as if it had come without."""
    asked = os.environ.get("CIFARLIB_RECORDS") or "shown"
    if asked not in ("shown", "none"):
        raise unknown("CIFARLIB_RECORDS", asked, ("shown", "none"))
    return asked == "shown"


def records_in(folder: Path) -> dict[str, Path]:
    """Return where each of the package's records in a folder is, by today's id."""
    return {todays_id(path.stem): path for path in sorted(folder.glob("*.json"))}


def _read_if_there(path: Path | None) -> Run | None:
    if path is None:
        return None
    return read_record(path)


# --- choose ---------------------------------------------------------------------------------------


def largest_run(
    backbone: str,
    image_size: int,
    init: str,
    *,
    budgets: Iterable[str] = COMPARED,
    lr: float | None = None,
    cifar100: bool = False,
) -> Run | None:
    """Return the recorded run of the largest of `budgets` for one cell of the comparison, or None.

    It is on the pictures that are loaded here: see data_id_here; with cifar100=True always on
    CIFAR-100, to stand beside published numbers. lr: the learning rate; None is the budget's.
    """
    data_id = ""
    if not cifar100:
        data_id = data_id_here(image_size)
    for budget in budgets:
        cell = Experiment(backbone, image_size, init, budget, lr=lr)
        found = find_run(id_on(cell, data_id))
        if found:
            return found
    return None


# --- the bundled net ------------------------------------------------------------------------------


def published_model_run() -> Run:
    """Return the run whose trained net comes with the package; of several the best on validation.

    Raises ValueError where none is bundled, or where CIFARLIB_RECORDS hides the published records.
    """
    runs = [read_record(path) for path in _published_paths().values()]
    with_weights = [run for run in runs if run.has_weights]
    if not with_weights:
        raise ValueError(
            f"no trained net is bundled: expected one in {PUBLISHED.with_name('models')},"
            " and CIFARLIB_RECORDS not to be none"
        )
    return max(with_weights, key=lambda run: run.history.valid_accuracy.max())


def load_published_model() -> "nn.Module":
    """Return the trained net that comes with the package, in evaluation mode: nobody has to train.

    It takes float32 (N, 3, S, S), normalised as eval_transform(S, **normalization_of(model)) does
    (its mean and std are not ImageNet's), or uint8 brought to it by choose_device(model), and gives
    logits (N, 100); S and all else of it is told by published_model_run(). Raises ValueError as
    that does, and for weights whose hash is not the record's.
    """
    return published_model_run().load_model()
