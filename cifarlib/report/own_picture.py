"""A picture of the reader's own, as the nets know pictures, and what trained nets say of it."""

import io
import sys
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..data.facts import CLASSES
from ..data.folder import read_picture
from ..evaluation.metrics import likeliest
from ..runs.record import Run
from ..runs.store import load_runs

Top5 = tuple[list[str], np.ndarray]  # the five likeliest classes and their probabilities


def trained_runs() -> list[Run]:
    """Return one's own runs on CIFAR-100's classes that keep their weights, the best first."""
    own = []
    for run in load_runs():
        if run.published or not run.best_path.exists():
            continue
        if run.provenance["data"]["classes"] == len(CLASSES):
            own.append(run)
    return sorted(own, key=lambda run: -run.history.valid_accuracy.max())


def top5_of(run: Run, picture: np.ndarray) -> Top5:
    """Return what a trained run says of one picture, uint8 (H, W, 3)."""
    # only who has weights waits for torch
    from ..data.augment import eval_transform
    from ..evaluation.predict import predict
    from ..training.device import choose_device

    model = run.load_model()
    device = choose_device(model)
    device.place(model)
    scale = run.provenance["weights"] or {}
    to_tensor = eval_transform(run.experiment.image_size)
    if scale:
        to_tensor = eval_transform(
            run.experiment.image_size,
            mean=tuple(scale["mean"]),
            std=tuple(scale["std"]),
        )
    batch = to_tensor(image=picture)["image"][None]
    probabilities = predict(model, [(batch, None)], device=device)[0]
    classes = likeliest(probabilities)[0]
    return [CLASSES[number] for number in classes], probabilities[0, classes]


def recorded_top5(run: Run, place: int) -> Top5:
    """Return what a record keeps of test picture number `place`; no weights are needed."""
    answers = run.predictions()
    classes = [CLASSES[number] for number in answers["classes"][place]]
    return classes, answers["probabilities"][place].astype(float)


def upload_picture(then: Callable[[np.ndarray], Figure]) -> None:
    """Ask for a picture, in Colab or Jupyter, and show what `then` draws of it, shrunk to 32×32."""
    if "google.colab" in sys.modules:
        from google.colab import files

        for content in files.upload().values():
            then(read_picture(io.BytesIO(content)))
        return
    _upload_in_jupyter(then)


def _upload_in_jupyter(then: Callable[[np.ndarray], Figure]) -> None:
    """Show a button; what is uploaded is answered below it."""
    import ipywidgets
    from IPython.display import display

    button = ipywidgets.FileUpload(accept="image/*")
    shown = ipywidgets.Output()

    def uploaded(change: dict[str, Any]) -> None:
        shown.clear_output()
        with shown:
            for file in change["new"]:
                answer = then(read_picture(io.BytesIO(file["content"])))
                display(answer)
                plt.close(answer)  # or the next cell would show it again

    button.observe(uploaded, "value")
    display(button, shown)
