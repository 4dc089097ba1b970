"""What 01 shows: the images, a guessing game, the spectrum."""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..data.cifar100 import ImageSet
from ..published.read import published_table
from .figures import picture_grid, use_style
from .twins import near_twins, twins_figure
from .widgets import MISSING, image_tag, readable

__all__ = [  # what the notebook uses
    "class_wall",
    "near_twins",
    "picture_grid",
    "published_table",
    "quiz",
    "quiz_figure",
    "spectra_figure",
    "twins_figure",
    "use_style",
]

LEAST_POWER = 1e-9  # so that nothing has a logarithm


def class_wall(images: ImageSet) -> Figure:
    """Show the first picture of each class, two superclasses a row with their names above."""
    assert images.superclasses is not None
    assert images.coarse_labels is not None
    places = []
    for family in range(len(images.superclasses)):
        inside = np.flatnonzero(images.coarse_labels == family)
        _, first = np.unique(images.labels[inside], return_index=True)
        places += list(inside[first])
    names = [images.classes[label].replace("_", "\n") for label in images.labels[places]]
    figure = picture_grid(list(images.images[places]), names, size=0.72)
    figure.set(figheight=12.6, dpi=80)
    figure.subplots_adjust(hspace=1.0)
    # the middle one of each five carries the heading
    for axis, name in zip(figure.axes[2::5], images.superclasses, strict=True):
        axis.annotate(
            name.replace("_", " "),
            (0.5, 1.5),
            xycoords="axes fraction",
            ha="center",
            weight="bold",
            fontsize=8,
        )
    return figure


def quiz(images: ImageSet) -> Any:
    """Return a guessing game: a picture, its superclass's classes as buttons, a score."""
    if importlib.util.find_spec("ipywidgets") is None:
        return MISSING
    return _Quiz(images).widget


class _Quiz:
    """One game: which picture is asked for, and how many answers were right."""

    def __init__(self, images: ImageSet) -> None:
        from ipywidgets import HTML, Button, HBox, Label, VBox

        self.images = images
        self.rng = np.random.default_rng()
        self.asked = 0
        self.right = 0
        self.screen = HTML()
        self.said = Label("Which one is it?")
        self.buttons = [Button() for _ in range(5)]
        for button in self.buttons:
            button.on_click(self.answer)
        self.widget = VBox([self.said, self.screen, HBox(self.buttons)])
        self.ask()

    def ask(self) -> None:
        """Show another picture and the five classes of its superclass."""
        self.place = int(self.rng.integers(len(self.images)))
        self.screen.value = image_tag(self.images.images[self.place], width=224)
        names = class_names(self.images, self.place)
        for button, name in zip(self.buttons, names, strict=True):
            button.description = name

    def answer(self, button: Any) -> None:
        """Count an answer, say what was right, and ask again."""
        truth = readable(self.images.classes[self.images.labels[self.place]])
        self.asked += 1
        self.right += button.description == truth
        self.said.value = f"It was: {truth}. {self.right} of {self.asked} right. And this one?"
        self.ask()


def class_names(images: ImageSet, place: int) -> list[str]:
    """Return the names of the classes in the superclass of one picture, in order."""
    family = images.coarse_labels == images.coarse_labels[place]  # type: ignore[index]
    return [readable(images.classes[label]) for label in np.unique(images.labels[family])]


def quiz_figure(questions: ImageSet, choices: Sequence[Sequence[str]]) -> Figure:
    """Show numbered pictures, four a row, with the class names to choose from under each."""
    rows = -(-len(questions) // 4)  # rounded up
    figure, axes = plt.subplots(
        rows,
        4,
        figsize=(7, 2.6 * rows),
        layout="constrained",
        squeeze=False,
        subplot_kw={"xticks": [], "yticks": []},
    )
    figure.get_layout_engine().set(hspace=0.08)  # type: ignore[union-attr, call-arg]
    for axis in axes.flat[len(questions) :]:
        axis.set_visible(False)
    for number, axis in enumerate(axes.flat[: len(questions)]):
        axis.imshow(questions.images[number], interpolation="nearest")
        axis.set_title(number + 1)
        names = [name.replace("_", " ") for name in choices[number]]
        axis.set_xlabel("\n".join(names), fontsize=8)
        axis.grid(False)
    return figure


def spectra_figure(
    pictures: Mapping[int, np.ndarray],
    spectra: Mapping[int, np.ndarray],
) -> Figure:
    """Draw a picture at some sizes, and under each the mean power of its frequencies.

    Both by size in pixels; a spectrum is (size, size), its lowest frequency in the middle. A dashed
    square holds what 32×32 pixels can carry.
    """
    figure, axes = plt.subplots(2, len(pictures), figsize=(7, 4.6), layout="compressed")
    colors = plt.get_cmap("magma", 13)  # a step is half a power of ten
    for (above, below), (size, picture) in zip(axes.T, pictures.items(), strict=True):
        above.imshow(picture, interpolation="nearest")
        above.set(title=f"{size} × {size} pixels", xticks=[], yticks=[])
        ticks = [-size / 2, 0, size / 2]
        drawn = below.imshow(
            np.log10(spectra[size] + LEAST_POWER),
            colors,
            extent=(-size / 2, size / 2, -size / 2, size / 2),
            vmin=-5,
            vmax=1.5,
        )
        below.add_patch(Rectangle((-16, -16), 32, 32, fill=False, edgecolor="w", linestyle="--"))
        below.set(xlabel="cycles per picture", xticks=ticks, yticks=ticks)
    axes[1, 0].set_ylabel("cycles per picture")
    figure.colorbar(drawn, ax=axes[1], label="mean power (log10)")
    for axis in axes.flat:
        axis.grid(False)
    return figure
