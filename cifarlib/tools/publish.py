"""Publishing: records are checked and added to the package, in the place of earlier ones."""

from pathlib import Path

from ..experiments import store
from ..experiments.record import RECORD, ROUNDED, Run, read_record
from ..experiments.store import REPRODUCED, records_in
from ..utils.files import ensure_folder, expanded, write_bytes
from .check import check_record


def publish(
    source: str | Path,
    *,
    replace: bool = False,
    weights: bool = False,
) -> list[Path]:
    """Copy the records below `source` into the package and return where each is now.

    weights: add their trained nets too, in float16.

    Raises ValueError, and copies none, if one fails its check, if two are of one experiment, or if
    another of its experiment is published already, unless `replace`: that one is then kept among
    the superseded, where there must be none of its name yet.
    """
    source = expanded(source)
    runs: dict[str, Run] = {}
    for path in sorted(source.glob(f"**/{RECORD}")):
        if REPRODUCED in path.relative_to(source).parts:  # it is to be compared, not shown
            continue
        run = read_record(path)
        if run.experiment.id in runs:
            other = runs[run.experiment.id].path
            raise ValueError(f"cannot publish {path} and {other}: both are {run.experiment.id}")
        runs[run.experiment.id] = run
    if not runs:
        raise ValueError(f"{source} holds no {RECORD}: expected a folder of runs")
    for run in runs.values():
        problems = _problems_of_publishing(run, replace=replace, weights=weights)
        if problems:
            raise ValueError(f"cannot publish {run.path}: {'; '.join(problems)}")
    return [_publish(run, weights=weights) for run in runs.values()]


def _problems_of_publishing(run: Run, *, replace: bool, weights: bool) -> list[str]:
    """Return why a run cannot be published as it was asked, as a list of lines."""
    problems = check_record(run.path)
    if not run.provenance["data"]["cifar100"]:
        problems.append("it was not trained on CIFAR-100")
    if not replace and _is_published_otherwise(run):
        problems.append("another run of its experiment is published: --replace takes its place")
    if weights and not (run.has_weights and ROUNDED in run.provenance):
        problems.append("it has no weights, or not their hash, to add")
    if _would_bury_another(run):
        problems.append(f"{store.SUPERSEDED} holds an earlier run of it: move that away")
    return problems


def _is_published_otherwise(run: Run) -> bool:
    there = records_in(store.PUBLISHED).get(run.experiment.id)
    return there is not None and there.read_bytes() != run.path.read_bytes()


def _publish(run: Run, *, weights: bool) -> Path:
    """Copy one record and its predictions into the package, and its net where that is asked."""
    target = store.PUBLISHED / f"{run.experiment.id}.json"
    there = records_in(store.PUBLISHED).get(run.experiment.id)
    if there is not None and _is_published_otherwise(run):
        _supersede(there)
    # predictions first, so that a record never lacks them
    write_bytes(target.with_suffix(".npz"), run.predictions_path.read_bytes())
    write_bytes(target, run.path.read_bytes())
    if weights:
        _publish_weights(run, read_record(target).best_path)
    return target


def _publish_weights(run: Run, target: Path) -> None:
    """Write a run's best weights, its filters in float16, where the package keeps nets."""
    from ..models.weights import halved, pack_weights

    model = run.load_model()
    ensure_folder(target.parent)
    write_bytes(target, pack_weights(halved(model.state_dict()), model, run=run.experiment.id))


def _would_bury_another(run: Run) -> bool:
    """Return whether what a run takes the place of would itself take another's among superseded."""
    there = records_in(store.PUBLISHED).get(run.experiment.id)
    if there is None or not _is_published_otherwise(run):
        return False
    earlier = records_in(store.SUPERSEDED).get(run.experiment.id)
    return earlier is not None and earlier.read_bytes() != there.read_bytes()


def _supersede(path: Path) -> None:
    """Move a published record and its predictions, as they are, to the superseded ones."""
    predictions = path.with_suffix(".npz")
    ensure_folder(store.SUPERSEDED)
    # copies first: a stop leaves the record in both places rather than in none
    write_bytes(store.SUPERSEDED / predictions.name, predictions.read_bytes())
    write_bytes(store.SUPERSEDED / path.name, path.read_bytes())
    # a net's weights are told by the record that goes
    read_record(path).best_path.unlink(missing_ok=True)
    # the record goes before its predictions, so that it is never there with another's
    path.unlink()
    predictions.unlink()
