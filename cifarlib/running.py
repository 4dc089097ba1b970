"""Running an experiment: from the record if there is one, else by training, testing once and recording it."""

import contextlib
import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors.torch import save

from .augment import IMAGENET_MEAN, IMAGENET_STD, eval_transform, make_loader, train_transform
from .cifar100 import FINGERPRINTS
from .data import ImageSet, holds_own_pictures, load_cifar100, split_folds
from .evaluation import score
from .experiments import BUDGETS, Experiment
from .files import atomic_path, ensure_folder
from .machine import Machine, choose_machine, describe_device
from .models import BACKBONES, create_model, timm_name
from .progress import progress_bar
from .records import BEST, RECORD, Run, find_record, own_folder, read_record, write_record
from .results import fair_runs
from .trainer import Trainer
from .training import RECIPES
from .weights import MissingWeights, Weights, find_weights

CHECKPOINT, LOCK, HOLDER = "checkpoint.pt", "lock", "holder.txt"
LIBRARIES = ("torch", "torchvision", "timm", "albumentations", "opencv-python-headless", "numpy")


def run(
    experiment: Experiment,
    retrain: bool = False,
    *,
    runs_dir: str | Path | None = None,
    data: tuple[ImageSet, ImageSet] | None = None,
    num_workers: int | None = None,
    published: bool = True,
    progress: bool | int = True,
) -> Run:
    """Return the run of an experiment: its record if there is one, else train, test once and record it.

    data: (train, test) image sets; load_cifar100's by default. num_workers: see make_loader; it changes no
    number. progress: whether to draw a bar, or on which line of the terminal. A run that was interrupted goes
    on from its last epoch. Records of one's own on these very pictures come before published ones; `retrain`
    passes over both, published=False over the latter.
    Raises ValueError where the experiment cannot be run.
    """
    root = own_folder(runs_dir)
    mine = data is not None or holds_own_pictures()
    known = mine or any(root.glob(f"{experiment.id}*"))
    shipped = "" if not published else None if mine else experiment.id  # None: only if these are CIFAR-100
    if not retrain and not known and (found := find_record(experiment.id, runs_dir=root, published=shipped)):
        return found
    train, test = data or (load_cifar100("train"), load_cifar100("test"))
    run_id = run_identity(experiment, train, test)
    train = replace(train, is_cifar100=run_id == experiment.id)  # a part of CIFAR-100 is not CIFAR-100
    if not retrain and (found := find_record(run_id, runs_dir=root, published=shipped)):
        return found
    weights = find_weights(timm_name(experiment.backbone)) if experiment.init == "imagenet" else None
    torch.manual_seed(experiment.seed)  # after find_weights, which may draw random numbers
    shape = {"stem": experiment.stem, "image_size": experiment.image_size}
    model = create_model(experiment.backbone, len(train.classes), pretrained=weights or False, **shape)
    kept, held_out = split_folds(train)
    budget = BUDGETS[experiment.budget]
    parts = {"train": kept[: budget.n_train], "valid": held_out[: budget.n_valid], "test": test[: budget.n_test]}
    folder = ensure_folder(root / run_id)
    with _alone_in(folder):
        if not retrain and (folder / RECORD).exists():  # finished by another process meanwhile
            return read_record(folder / RECORD)
        shown = {"num_workers": num_workers, "progress": progress}
        return _train(experiment, model, folder, weights=weights, parts=parts, **shown)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    holder = folder / HOLDER
    try:
        with FileLock(folder / LOCK, timeout=0):
            holder.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
            for left_by_a_kill in folder.glob(".*.tmp"):
                left_by_a_kill.unlink()
            yield
    except Timeout:
        who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
        raise ValueError(f"{who} is training {folder.name} in {folder.parent}: wait for it, then ask again") from None


def run_identity(experiment: Experiment, train: ImageSet, test: ImageSet) -> str:
    """Return the experiment's id; for other pictures than CIFAR-100's, with both parts' fingerprint behind it."""
    found = {"train": train.fingerprint, "test": test.fingerprint}
    own = hashlib.sha256("".join(found.values()).encode()).hexdigest()[:8]
    return experiment.id if found == FINGERPRINTS else f"{experiment.id}@{own}"


def collect_runs(
    backbones: Iterable[str], image_size: int, init: str, *, budget: str = "smoke"
) -> dict[str, Run | None]:
    """Return for each backbone its recorded run (see fair_runs), else train it at `budget`.

    None stands for a run that stays open because its ImageNet weights are not at hand: those of the
    series' backbones are not downloaded unasked, so that the notebooks show the same everywhere.
    """
    runs = fair_runs(backbones, image_size, init)
    for backbone, found in runs.items():
        if found is None:
            with contextlib.suppress(MissingWeights):
                if init == "imagenet" and backbone in BACKBONES:
                    find_weights(timm_name(backbone), download=False)
                runs[backbone] = run(Experiment(backbone, image_size, init, budget))
    return runs


def _train(
    experiment: Experiment,
    model: torch.nn.Module,
    folder: Path,
    *,
    weights: Weights | None,
    parts: dict[str, ImageSet],
    num_workers: int | None,
    progress: bool | int,
) -> Run:
    recipe = RECIPES[experiment.recipe]
    mean, std = (weights.mean, weights.std) if weights else (IMAGENET_MEAN, IMAGENET_STD)
    machine = choose_machine(model, mean=mean, std=std)
    fixed = eval_transform(experiment.image_size, normalize=False)
    varied = train_transform(experiment.image_size, experiment.policy, normalize=False)
    loaders = {name: make_loader(parts[name], fixed, batch_size=256, num_workers=0) for name in ("valid", "test")}
    shuffled = {"batch_size": recipe.batch_size, "shuffle": True, "seed": experiment.seed, "num_workers": num_workers}
    loaders["train"] = make_loader(parts["train"], varied, **shuffled)
    resume = {"recipe": recipe, "checkpoint": folder / CHECKPOINT, "owner": folder.name}
    trainer = Trainer(model, loaders["train"], loaders["valid"], machine, experiment.epochs, experiment.lr, **resume)
    _show_progress(trainer, folder.name, progress)
    model.load_state_dict(trainer.best_state)
    views = {"machine": machine, "policy": experiment.policy, "pieces": trainer.pieces}
    test, predictions = score(model, loaders["test"], parts["test"].labels, **views)
    with atomic_path(folder / BEST) as temporary:
        temporary.write_bytes(save({name: tensor.contiguous() for name, tensor in trainer.best_state.items()}))
    made = _provenance(parts, weights, machine)
    made |= {"batch_pieces": trainer.pieces, "seconds": round(trainer.frame.seconds.sum(), 1)}
    finished = write_record(folder, experiment, trainer.history, test=test, provenance=made, predictions=predictions)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return finished


def _show_progress(trainer: Trainer, name: str, progress: bool | int) -> None:
    steps, done = len(trainer.train_loader), len(trainer.history)
    line = {"position": progress, "leave": False} if progress is not True else {}
    shown = {"desc": name, "unit": "step", "disable": progress is False, **line}
    with progress_bar(total=steps * trainer.epochs, initial=steps * done, **shown) as bar:

        def counted(batches: Iterable, epoch: int) -> Iterable:
            for batch in batches:
                yield batch
                bar.update()

        trainer.progress = counted
        for row in trainer:
            pieces = f", batches in {trainer.pieces} pieces" if trainer.pieces > 1 else ""
            bar.set_postfix_str(f"epoch {row['epoch']}/{trainer.epochs}, valid {row['valid_accuracy']:.1%}{pieces}")


def _provenance(parts: dict[str, ImageSet], weights: Weights | None, machine: Machine) -> dict[str, Any]:
    from . import __version__

    train = parts["train"]
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    data = {"name": train.name, "source": train.source, "cifar100": train.is_cifar100, "classes": len(train.classes)}
    data["counts"] = {name: len(part) for name, part in parts.items()}
    data["fingerprints"] = {name: part.fingerprint for name, part in parts.items()}
    return {
        "data": data,
        "weights": weights and {key: getattr(weights, key) for key in ("origin", "sha256", "mean", "std")},
        "device": describe_device(machine.device),
        "precision": machine.precision,
        "versions": {"python": platform.python_version(), "cifarlib": __version__, **versions},
    }
