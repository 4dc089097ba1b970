"""What a reader can play with in 01 and 02: a guessing game and an explorer of the augmentation.

Both need ipywidgets; where it is not installed they say so.
"""

import base64
import importlib.util
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from IPython.display import HTML

from ..config import IMAGE_SIZES
from ..data.cifar100 import ImageSet
from ..data.seeded import seeded
from ..data.transforms import A, policy_steps

MISSING = HTML("ipywidgets is not installed: the figure shows the same, without buttons")
ALL = "all"  # the whole policy, each step with its own probability
EXPLORED = ("writeup", "natural")
TOGETHER = ("Pad", "RandomCrop")  # one without the other changes the size
MOST_SEEDS = 50


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
        self.screen.value = _image_tag(self.images.images[self.place], width=224)
        names = class_names(self.images, self.place)
        for button, name in zip(self.buttons, names, strict=True):
            button.description = name

    def answer(self, button: Any) -> None:
        """Count an answer, say what was right, and ask again."""
        truth = _readable(self.images.classes[self.images.labels[self.place]])
        self.asked += 1
        self.right += button.description == truth
        self.said.value = f"It was: {truth}. {self.right} of {self.asked} right. And this one?"
        self.ask()


def class_names(images: ImageSet, place: int) -> list[str]:
    """Return the names of the classes in the superclass of one picture, in order."""
    family = images.coarse_labels == images.coarse_labels[place]  # type: ignore[index]
    return [_readable(images.classes[label]) for label in np.unique(images.labels[family])]


def augmentation_explorer(pictures: Sequence[np.ndarray]) -> Any:
    """Return controls for policy, step, size and seed, with the pictures that they make."""
    if importlib.util.find_spec("ipywidgets") is None:
        return MISSING
    from ipywidgets import HTML as Screen
    from ipywidgets import Dropdown, HBox, IntSlider, VBox

    names = [ALL]
    for policy in EXPLORED:
        names += policy_steps(32, policy)
    policy = Dropdown(options=EXPLORED, description="policy")
    step = Dropdown(options=list(dict.fromkeys(names)), description="step")
    size = Dropdown(options=IMAGE_SIZES, description="size (px)")
    seed = IntSlider(max=MOST_SEEDS, description="seed")
    screen = Screen()

    def redraw(_change: Any = None) -> None:
        title = f"{policy.value}: {step.value}"
        if step.value not in (ALL, *policy_steps(size.value, policy.value)):
            title = f"{step.value} is not in {policy.value}: the pictures stay as they are"
        strip = augmented_strip(pictures, policy.value, step.value, size.value, seed.value)
        screen.value = f"<b>{title}</b><br>{_image_tag(strip, width=800)}"

    controls = [policy, step, size, seed]
    for control in controls:
        control.observe(redraw, names="value")
    redraw()
    return VBox([HBox(controls[:2]), HBox(controls[2:]), screen])


def augmented_strip(
    pictures: Sequence[np.ndarray],
    policy: str,
    step: str,
    size: int,
    seed: int,
) -> np.ndarray:
    """Return pictures side by side, uint8 (size, N * size, 3), after a policy or one of its steps.

    step: "all" for the policy as in training, else the step that is applied every time; one that
    the policy lacks changes nothing.
    """
    steps = []
    for name, one in policy_steps(size, policy).items():
        if step == ALL or name == step or (name in TOGETHER and step in TOGETHER):
            steps.append(one)
    pipeline = seeded(steps, seed, always=step != ALL)
    shrink = A.Resize(size, size, interpolation=cv2.INTER_LINEAR)
    changed = [pipeline(image=shrink(image=picture)["image"])["image"] for picture in pictures]
    return np.hstack(changed)


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _image_tag(picture: np.ndarray, *, width: int) -> str:
    """Return an RGB picture as an HTML tag that holds it, its pixels shown as squares."""
    _, png = cv2.imencode(".png", picture[..., ::-1])  # OpenCV's order is BGR
    content = base64.b64encode(png.tobytes()).decode()
    style = "image-rendering: pixelated"
    return f"<img width={width} style='{style}' src='data:image/png;base64,{content}'>"
