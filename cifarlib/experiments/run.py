"""Running an experiment: its record if there is one, else training, one test and a new record."""

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock, Timeout
from torch import nn
from torch.utils.data import DataLoader

from ..config import HISTORY, RECIPES, Experiment, timm_name
from ..data.cifar100 import ImageSet, data_id
from ..data.loader import make_loader
from ..data.locate import data_place
from ..data.transforms import check_steps, eval_transform, train_transform
from ..evaluation.predict import score
from ..models.backbones import create_model
from ..models.weights import Weights, digest_of_tensors, find_weights, halved, pack_weights
from ..training.checkpoint import peek_state
from ..training.device import choose_device
from ..training.trainer import Trainer, copy_to_cpu, fit
from ..utils.files import ensure_folder, expanded
from ..utils.progress import say
from .parts import Parts, load_data, ready_data, split_parts
from .provenance import SURROUNDINGS, check_same_settings, provenance_after, provenance_of
from .record import RECORD, ROUNDED, Run, read_record, write_record
from .store import find_own_run, find_published_run, id_on, own_folder, own_paths

CHECKPOINT = "checkpoint.pt"
LOCK = "lock"
HOLDER = "holder.txt"
EVAL_BATCH = 256  # pictures


def run(
    experiment: Experiment,
    retrain: bool = False,
    *,
    runs_dir: str | Path | None = None,
    data: tuple[ImageSet, ImageSet] | None = None,
    num_workers: int | None = None,
    published: bool = True,
    progress: bool | int = True,
    command: str | None = None,
) -> Run:
    """Return the run of an experiment: its record, else train it, test it once and record that.

    data: (train, test) image sets, in any order; load_data's by default. What a run is about is
    told by their arrays as they are now, whatever they once were. num_workers: see make_loader; it
    changes no number. progress: whether to draw a bar, or on which line of the terminal. command:
    the command line that asked for it, for the record. A run that was interrupted goes on from its
    last epoch. Records of one's own on these very pictures come before published ones; `retrain`
    passes over both, published=False over the latter. Raises ValueError where the experiment cannot
    be run, or a record or a checkpoint of that name was made otherwise: from other weights, say.
    """
    root = own_folder(runs_dir)
    own_pictures = data is not None or data_place().holds_own_pictures
    use_published = published and not retrain
    if use_published and not own_pictures and not _has_own_runs(experiment, root):
        found = find_published_run(experiment.id)  # at once, without loading a picture
        if found:
            return found

    if data is None:
        train, test = load_data(experiment.image_size)
    else:
        train, test = ready_data(data)
    run_id = run_identity(experiment, train, test)
    is_cifar100 = run_id == experiment.id
    found = None
    if not retrain:
        found = find_own_run(run_id, runs_dir=root)
    if found:
        check_same_settings(found, experiment)
        return found
    # one's own pictures never get a run on CIFAR-100
    if use_published and (is_cifar100 or not own_pictures):
        found = find_published_run(experiment.id)
        if found:
            return found

    model, weights, parts = _begin(experiment, train, test, cifar100=is_cifar100)
    folder = ensure_folder(root / run_id)
    with _alone_in(folder):
        if not retrain and (folder / RECORD).exists():  # finished by another process meanwhile
            found = read_record(folder / RECORD)
            check_same_settings(found, experiment)
            return found
        return _train(
            experiment,
            model,
            folder,
            weights=weights,
            parts=parts,
            num_workers=num_workers,
            progress=progress,
            command=command,
        )


def train_first(
    experiment: Experiment,
    epochs: int,
    *,
    runs_dir: str | Path,
    data: tuple[ImageSet, ImageSet],
    command: str | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train an experiment's first epochs, test and record nothing; return (history, provenance).

    data: (train, test). What was stopped goes on from its checkpoint in `runs_dir`.
    """
    train, test = ready_data(data)
    run_id = run_identity(experiment, train, test)
    is_cifar100 = run_id == experiment.id
    model, weights, parts = _begin(experiment, train, test, cifar100=is_cifar100)
    folder = ensure_folder(expanded(runs_dir) / f"{run_id}-first_{epochs}")
    with _alone_in(folder):
        trainer, _, provenance = _make_trainer(
            experiment,
            model,
            folder,
            weights=weights,
            parts=parts,
            command=command,
        )
        fit(trainer, name=folder.name, until=epochs)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        trainer.driven.stop()
    return trainer.frame, provenance | {"engine": trainer.engines[-1]}


def run_identity(experiment: Experiment, train: ImageSet, test: ImageSet) -> str:
    """Return the experiment's id; on other pictures than CIFAR-100's a fingerprint follows it."""
    return id_on(experiment, data_id(train, test))


# --- the steps of a run ---------------------------------------------------------------------------


def _has_own_runs(experiment: Experiment, root: Path) -> bool:
    """Say whether one's own runs hold the experiment, on whatever pictures."""
    return any(run_id.startswith(experiment.id) for run_id in own_paths(root))


def _begin(
    experiment: Experiment,
    train: ImageSet,
    test: ImageSet,
    *,
    cifar100: bool,
) -> tuple[nn.Module, Weights | None, Parts]:
    """Return what a run begins with: (model, ImageNet weights or None, parts of the pictures)."""
    weights = None
    if experiment.init == "imagenet":
        weights = find_weights(timm_name(experiment.backbone))
    torch.manual_seed(experiment.seed)  # after find_weights, which may draw random numbers
    model = create_model(
        experiment.backbone,
        len(train.classes),
        pretrained=weights or False,
        stem=experiment.stem,
        image_size=experiment.image_size,
    )
    check_steps(experiment.image_size, experiment.policy)
    return model, weights, split_parts(experiment, train, test, cifar100=cifar100)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a run's folder; ValueError that says who holds it, if another process does.

    The system lets go of a lock with its process; on file systems without locks a mark stands for
    it, which filelock takes over from a dead process of this machine, and the message says how to
    from another machine's.
    """
    holder = folder / HOLDER
    lock = folder / LOCK
    try:
        with FileLock(lock, timeout=0):
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            who = f"process {os.getpid()} on {platform.node()}, since {since},"
            holder.write_text(who, encoding="utf-8")
            for left_by_a_kill in folder.glob(".*.tmp"):
                left_by_a_kill.unlink()
            yield
    except Timeout:
        who = "another process"
        if holder.exists():
            who = holder.read_text(encoding="utf-8")
        raise ValueError(
            f"{who} is training {folder.name} in {folder.parent}: wait for it, then ask again;"
            f" if it is no more, delete {lock}"
        ) from None


def _train(
    experiment: Experiment,
    model: nn.Module,
    folder: Path,
    *,
    weights: Weights | None,
    parts: Parts,
    num_workers: int | None,
    progress: bool | int,
    command: str | None,
) -> Run:
    """Train a model through all epochs, test its best weights once, and record that."""
    trainer, test_loader, provenance = _make_trainer(
        experiment,
        model,
        folder,
        weights=weights,
        parts=parts,
        num_workers=num_workers,
        command=command,
    )
    if progress is True:  # nobody sees lines among several bars
        say(f"data: {parts.train.in_words(parts.name)} to learn from")
    fit(trainer, name=folder.name, progress=progress)
    trainer.driven.stop()

    final_weights = digest_of_tensors(copy_to_cpu(model.state_dict()))
    model.load_state_dict(trainer.best_state)
    test, predictions = score(
        model,
        test_loader,
        parts.test.labels,
        device=trainer.device,
        policy=experiment.policy,
        micro_batches=trainer.micro_batches,
    )
    provenance |= provenance_after(experiment, trainer)
    provenance["final_weights_sha256"] = final_weights
    # publish(weights=True) puts them along in this form
    provenance[ROUNDED] = digest_of_tensors(halved(trainer.best_state))
    finished = write_record(
        folder,
        experiment,
        trainer.frame,
        test=test,
        provenance=provenance,
        predictions=predictions,
        best_weights=pack_weights(trainer.best_state, model),
    )
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return finished


def _make_trainer(
    experiment: Experiment,
    model: nn.Module,
    folder: Path,
    *,
    weights: Weights | None,
    parts: Parts,
    num_workers: int | None = None,
    command: str | None = None,
) -> tuple[Trainer, DataLoader, dict[str, Any]]:
    """Return (trainer, batches of the test, what is known of how the run is made).

    What can fail fails here, before training, not after hours of it.
    """
    device = choose_device(model, image_size=experiment.image_size)
    device.place(model)  # which decides how many threads it has
    provenance = provenance_of(
        experiment,
        parts,
        weights,
        device,
        command=command,
    )
    train_loader, valid_loader, test_loader = _make_loaders(experiment, parts, num_workers)
    _remove_finished_checkpoint(folder)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    trainer = Trainer(
        model,
        train_loader,
        valid_loader,
        device,
        epochs=experiment.epochs,
        lr=experiment.learning_rate,
        recipe=RECIPES[experiment.recipe],
        checkpoint=folder / CHECKPOINT,
        owner={"run": folder.name} | provenance["settings"],
        surroundings={name: provenance[name] for name in SURROUNDINGS},
    )
    return trainer, test_loader, provenance


def _remove_finished_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of the run that is recorded already, left by a stop in between.

    Else training anew would begin at that run's last epoch.
    """
    checkpoint = folder / CHECKPOINT
    if not checkpoint.exists() or not (folder / RECORD).exists():
        return
    state = peek_state(checkpoint.read_bytes(), name=str(checkpoint))
    trained = pd.DataFrame(state["history"], columns=list(HISTORY))
    if trained.equals(read_record(folder / RECORD).history):
        checkpoint.unlink()


def _make_loaders(
    experiment: Experiment,
    parts: Parts,
    num_workers: int | None,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return the batches of training, validation and test, not yet normalised.

    The device does that, for uint8 pictures travel four times lighter than float32.
    """
    random_steps = train_transform(experiment.image_size, experiment.policy, normalize=False)
    no_steps = eval_transform(experiment.image_size, normalize=False)
    train_loader = make_loader(
        parts.train,
        random_steps,
        batch_size=RECIPES[experiment.recipe].batch_size,
        shuffle=True,
        seed=experiment.seed,
        num_workers=num_workers,
    )
    valid_loader = make_loader(parts.valid, no_steps, batch_size=EVAL_BATCH, num_workers=0)
    test_loader = make_loader(parts.test, no_steps, batch_size=EVAL_BATCH, num_workers=0)
    return train_loader, valid_loader, test_loader
