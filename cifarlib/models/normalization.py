"""How a net expects images to be normalised: as those were that its weights learned from."""

from typing import Any, TypedDict

from torch import nn

from ..config import IMAGENET_MEAN, IMAGENET_STD

Channels = tuple[float, ...]  # one number a channel, on a 0-1 scale


class Normalization(TypedDict):
    """What images are normalised with: (pixel / 255 - mean) / std."""

    mean: Channels
    std: Channels


def remember_normalization(
    model: nn.Module,
    mean: Channels,
    std: Channels,
    *,
    learned: bool = True,
) -> None:
    """Let a net know the (mean, std) that its weights expect.

    learned: whether they have learned from such images, so that others tell them nothing.
    """
    model.input_mean = tuple(mean)  # type: ignore[assignment]
    model.input_std = tuple(std)  # type: ignore[assignment]
    model.has_learned = learned  # type: ignore[assignment]


def normalization_of(
    model: nn.Module,
    *,
    mean: Channels = IMAGENET_MEAN,
    std: Channels = IMAGENET_STD,
) -> Normalization:
    """Return {"mean", "std"} of each channel on a 0-1 scale, as a net's weights expect images.

    eval_transform(S, **normalization_of(model)) normalises so. A net of create_model or
    Run.load_model knows them with its weights (ImageNet's from scratch); any other net has `mean`
    and `std`.
    """
    module: Any
    for module in model.modules():  # the net itself comes first, then what it is wrapped around
        if hasattr(module, "input_mean") and hasattr(module, "input_std"):
            return {"mean": tuple(module.input_mean), "std": tuple(module.input_std)}
    return {"mean": mean, "std": std}
