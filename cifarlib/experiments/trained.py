"""Pictures of the reader's own, as the nets know pictures, and what trained nets say of them."""

from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.arrays import Whites, check_image, check_images
from ..data.cifar100 import SIDE, load_cifar100
from ..data.facts import CLASSES
from ..data.folder import read_picture, squared
from ..evaluation.metrics import likeliest
from ..utils.errors import unknown
from ..utils.files import expanded
from .record import Run
from .store import check_named_folder, data_id_here, load_runs, published_model_run

if TYPE_CHECKING:  # only who has weights waits for torch
    import torch
    from torch import nn

Top5 = tuple[list[str], np.ndarray]  # the five likeliest classes and their probabilities


def trained_runs() -> list[Run]:
    """Return the runs on CIFAR-100's classes whose nets can be asked, one's own before ours.

    One's own come the best first, then the one that comes with the package.
    """
    asked = []
    for run in load_runs():
        if run.has_weights and run.class_names == CLASSES:
            asked.append(run)
    return sorted(asked, key=lambda run: (run.published, -run.history.valid_accuracy.max()))


def probabilities_of(run: Run, pictures: np.ndarray) -> np.ndarray:
    """Return what a run's net says of pictures, uint8 (N, H, W, 3), as float32 (N, C).

    They are made square and small like the pictures that the run learned from. Raises ValueError
    for arrays of another kind, for a run without weights, or with others than its record's.
    """
    # only who has weights waits for torch
    from ..evaluation.predict import predict

    pictures = _as_learned_from(run, pictures)
    return predict(run.load_model(), pictures, run.experiment.image_size)


def evidence_of(run: Run, pictures: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return where a run's net finds the evidence for a class, float32 (N, S, S), 0 to 1.

    pictures: uint8 (N, H, W, 3). classes: for each picture the class asked about, (N,). S is the
    run's image size. Raises ValueError as probabilities_of and grad_cam do.
    """
    from ..evaluation.heatmap import grad_cam
    from ..training.device import choose_device

    pictures = _as_learned_from(run, pictures)
    model = run.load_model()
    device = choose_device(model)
    device.place(model)
    return grad_cam(model, _as_batch(run, model, pictures), classes, device=device)


def _side_of(run: Run) -> int:
    """Return the side (pixels) at which a run's pictures were read."""
    return run.provenance["data"].get("side", SIDE)


def _as_learned_from(run: Run, pictures: np.ndarray) -> np.ndarray:
    """Return pictures squared and shrunk like those that a run learned from."""
    return squared(check_images(pictures), _side_of(run))


def _as_batch(run: Run, model: "nn.Module", pictures: np.ndarray) -> "torch.Tensor":
    """Return pictures as a run's net takes them, float32 (N, 3, S, S)."""
    import torch

    from ..data.transforms import eval_transform
    from ..models.normalization import normalization_of

    to_tensor = eval_transform(run.experiment.image_size, **normalization_of(model))
    return torch.stack([to_tensor(image=one)["image"] for one in pictures])


def top5_of(run: Run, picture: np.ndarray) -> Top5:
    """Return what a run's net says of one picture, uint8 (H, W, 3); ValueError for another kind."""
    probabilities = probabilities_of(run, check_image(picture)[None])
    return likeliest_classes(probabilities, class_names(run))[0]


def likeliest_classes(probabilities: np.ndarray, names: Sequence[str]) -> list[Top5]:
    """Return the five likeliest of C classes for each picture: (N, C) in, N pairs out.

    Raises ValueError for another number of names than C.
    """
    if probabilities.shape[1] != len(names):
        raise ValueError(
            f"got {len(names)} names of classes, expected {probabilities.shape[1]}, one for each"
        )
    top5 = []
    for row, classes in zip(probabilities, likeliest(probabilities), strict=True):
        top5.append(([names[number] for number in classes], row[classes]))
    return top5


def asked_run(run_id: str | None, *, runs_dir: str | Path | None = None) -> Run:
    """Return the run whose net is to be asked: by its id, None for the bundled one.

    Raises ValueError that names the nearest for an id that is not there or has no weights.
    """
    if run_id is not None or runs_dir is not None:  # the bundled net needs no folder of runs
        check_named_folder(runs_dir)
    if run_id is None:
        return published_model_run()
    with_weights = {}
    for run in load_runs(runs_dir=runs_dir, any_data=True):
        if run.has_weights:
            with_weights[run.id] = run
    if run_id not in with_weights:
        raise unknown("run with weights", run_id, with_weights)
    return with_weights[run_id]


def class_names(run: Run) -> Sequence[str]:
    """Return what the numbers of a run's classes stand for.

    Raises ValueError for an older record that does not say, of a run on pictures of one's own that
    are not those in the data folder now.
    """
    if run.class_names is not None:
        return run.class_names
    side = _side_of(run)
    if run.data_id != data_id_here(side):
        raise ValueError(
            f"{run.id} learned from other pictures than those in the data folder, and its record"
            " does not name their classes: name their folder in CIFARLIB_DATA"
        )
    return load_cifar100("test", side=side).classes


def files_named(words: Sequence[str | Path]) -> list[Path]:
    """Return the files that are named, ~ and * written out where no shell has done that.

    A file of that very name comes first. Raises ValueError for a pattern that nothing fits.
    """
    files = []
    for word in words:
        path = expanded(word)
        if path.exists() or not has_magic(str(path)):
            files.append(path)
            continue
        found = sorted(glob(str(path)))
        if not found:
            raise ValueError(f"no file fits {word}, expected the names of picture files")
        files += [Path(name) for name in found]
    return files


def read_and_predict(run: Run, files: Sequence[str | Path]) -> list[Top5]:
    """Return what a run's net says of picture files, each as the nets know pictures.

    That is the middle square, shrunk to 32×32 unless the run learned from pictures of another size,
    and deep grey on the scale of those. Raises ValueError for a file that is no picture.
    """
    whites = None
    told = run.provenance["data"].get("whites")
    if told:
        whites = Whites(told["integers"], told["floats"])
    names = class_names(run)
    pictures = np.stack([read_picture(file, _side_of(run), whites=whites) for file in files])
    return likeliest_classes(probabilities_of(run, pictures), names)


def recorded_top5(run: Run, place: int) -> Top5:
    """Return what a record keeps of test picture number `place`; no weights are needed.

    Raises ValueError as class_names does.
    """
    names = class_names(run)
    answers = run.predictions()
    classes = [names[number] for number in answers["classes"][place]]
    return classes, answers["probabilities"][place].astype(float)
