"""Running an experiment: find its record, else build, train, score and record it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader

from ..config import RECIPES, Experiment, timm_name
from ..data.cifar100 import ImageSet
from ..data.transforms import check_steps
from ..evaluation.predict import score
from ..models.backbones import create_model
from ..models.weights import digest_of_tensors, find_weights, halved, pack_weights
from ..training.callbacks import (
    BestWeights,
    Callback,
    ProgressBar,
    copy_to_cpu,
    usual_callbacks,
)
from ..training.checkpoint import peek_state
from ..training.device import Device, choose_device
from ..training.fit import fit
from ..training.recovery import Checkpoint
from ..training.sharing import MachineLoad
from ..utils.files import ensure_folder
from ..utils.progress import say
from .lock import alone_in, own_random_numbers
from .parts import Images, Parts, make_loaders, split_parts
from .provenance import (
    SURROUNDINGS,
    RunLog,
    check_same_settings,
    provenance_after,
    provenance_of,
)
from .record import RECORD, ROUNDED, Run, read_record, write_record
from .store import find_own_run, find_published_run, id_on, own_folder, own_paths

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Job:
    """All that a run is made of, ready to be trained."""

    experiment: Experiment
    folder: Path
    model: nn.Module
    device: Device
    parts: Parts
    train_loader: DataLoader
    valid_loader: DataLoader
    test_loader: DataLoader
    provenance: dict[str, Any]  # how the run is made, as far as that is known before it


@dataclass(frozen=True)
class Trained:
    """What training has made of a job: its history, and what its callbacks know."""

    history: pd.DataFrame
    best: BestWeights
    log: RunLog
    load: MachineLoad


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
    images = Images(experiment.image_size, data)
    found = None
    if not retrain:
        found = find(experiment, images, root, published=published)
    if found:
        return found
    with own_random_numbers():
        job = build(experiment, images, root, num_workers=num_workers, command=command)
        with alone_in(ensure_folder(job.folder)):
            if not retrain:  # it may have been finished by another process meanwhile
                found = find(experiment, images, root, published=False)
            if found:
                return found
            if progress is True:  # nobody sees lines among several bars
                say(f"data: {job.parts.train.in_words(job.parts.name)} to learn from")
            trained = train(job, callbacks=_seen(job.folder.name, progress))
            test, predictions = score_best(job, trained)
            return record(job, trained, test, predictions)


# --- the steps of a run ---------------------------------------------------------------------------


def find(experiment: Experiment, images: Images, root: Path, *, published: bool) -> Run | None:
    """Return the record of an experiment: one's own on these very images, else the published one.

    Images are loaded only where a record of one's own may be about them. Raises ValueError for one
    that was made otherwise than it would be now.
    """
    if any(run_id.startswith(experiment.id) for run_id in own_paths(root)):
        found = find_own_run(id_on(experiment, images.id), runs_dir=root)
        if found:
            check_same_settings(found, experiment)
            return found
    # images of one's own never get a run on CIFAR-100
    if published and (not images.are_own or images.id == ""):
        return find_published_run(experiment.id)
    return None


def build(
    experiment: Experiment,
    images: Images,
    root: Path,
    *,
    num_workers: int | None = None,
    command: str | None = None,
) -> Job:
    """Return what an experiment's run is made of. What can fail fails here, not after hours."""
    train, test = images.sets
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
    parts = split_parts(experiment, train, test, cifar100=images.id == "")
    device = choose_device(model, image_size=experiment.image_size)
    device.place(model)  # which decides how many threads it has
    train_loader, valid_loader, test_loader = make_loaders(experiment, parts, num_workers)
    return Job(
        experiment,
        root / id_on(experiment, images.id),
        model,
        device,
        parts,
        train_loader,
        valid_loader,
        test_loader,
        provenance=provenance_of(experiment, parts, weights, device, command=command),
    )


def train(job: Job, *, callbacks: Iterable[Callback] = ()) -> Trained:
    """Train a job through its epochs, from its checkpoint on if it was stopped."""
    experiment = job.experiment
    best = BestWeights()
    log = RunLog({name: job.provenance[name] for name in SURROUNDINGS})
    load = MachineLoad()
    _remove_finished_checkpoint(job.folder)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    owner = {"run": job.folder.name} | job.provenance["settings"]
    history = fit(
        job.model,
        job.train_loader,
        job.valid_loader,
        epochs=experiment.epochs,
        lr=experiment.learning_rate,
        recipe=RECIPES[experiment.recipe],
        device=job.device,
        callbacks=[best, log, load, *callbacks],
        checkpoint=Checkpoint(job.folder / CHECKPOINT, owner),
        progress=False,
    )
    return Trained(history, best, log, load)


def score_best(job: Job, trained: Trained) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return (results, predictions) of the best validated weights on the test images.

    The last epoch's weights are digested before the best take their place in the model.
    """
    job.provenance["final_weights_sha256"] = digest_of_tensors(copy_to_cpu(job.model.state_dict()))
    job.model.load_state_dict(trained.best.weights)
    return score(
        job.model,
        job.test_loader,
        job.parts.test.labels,
        device=job.device,
        policy=job.experiment.policy,
        micro_batches=trained.log.micro_batches,
    )


def record(
    job: Job,
    trained: Trained,
    test: dict[str, Any],
    predictions: dict[str, np.ndarray],
) -> Run:
    """Write a trained and tested job's record, whole, and remove its checkpoint."""
    weights = trained.best.weights
    after = provenance_after(job.experiment, trained.history, trained.log, trained.load)
    finished = write_record(
        job.folder,
        job.experiment,
        trained.history,
        test=test,
        # publish(weights=True) puts the weights along in that rounded form
        provenance=job.provenance | after | {ROUNDED: digest_of_tensors(halved(weights))},
        predictions=predictions,
        best_weights=pack_weights(weights, job.model),
    )
    (job.folder / CHECKPOINT).unlink(missing_ok=True)
    return finished


# --- below them -----------------------------------------------------------------------------------


def _seen(name: str, progress: bool | int) -> list[Callback]:
    """Return what is seen of a run: a bar, on its line if it has one, and in a notebook curves."""
    if progress is True:
        return usual_callbacks(name)
    if progress is False:
        return []
    return [ProgressBar(name, line=progress)]


def _remove_finished_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of the run that is recorded already, left by a stop in between.

    Else training anew would begin at that run's last epoch.
    """
    checkpoint = folder / CHECKPOINT
    if not checkpoint.exists() or not (folder / RECORD).exists():
        return
    state = peek_state(checkpoint.read_bytes(), name=str(checkpoint))
    if pd.DataFrame(state["history"]).equals(read_record(folder / RECORD).history):
        checkpoint.unlink()
