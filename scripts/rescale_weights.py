"""Bring a ResNet's convolutions to He's standard deviation; the function stays the same.

    python scripts/rescale_weights.py ResNet18 BEFORE.safetensors AFTER.safetensors --table T.csv

A convolution that feeds a BatchNorm computes the same whatever its weights' scale, if BatchNorm's
running mean and variance are scaled along. Adam's steps do not scale along: a fine-tuning moves
weights that are too large by that much less, relatively (van Laarhoven 2017, Hoffer et al. 2018).
He's deviation is sqrt(2 / (outputs · height · width)), at which torchvision's ResNets begin (He et
al. 2015, fan-out). AFTER is written where it is not there yet; then both are compared, on 1,000
validation pictures of CIFAR-100 at each size. The table gets each layer's deviation.
"""

import argparse
import math
import sys
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save_file

from cifarlib import (
    BACKBONES,
    choose_device,
    create_model,
    eval_transform,
    load_cifar100,
    make_loader,
    split_folds,
)
from cifarlib.config import IMAGE_SIZES
from cifarlib.models.weights import Weights, read_weights
from cifarlib.utils.files import atomic_path, ensure_folder

COLUMNS = ["backbone", "layer", "deviation", "he_deviation"]
PICTURES = 1_000
BATCH = 250  # pictures


def batch_norm_of(convolution: str) -> str:
    """Return the name of the BatchNorm that follows a ResNet's convolution, both as timm says."""
    if convolution == "conv1":
        return "bn1"
    if convolution.endswith("downsample.0"):
        return convolution[:-1] + "1"
    return convolution.replace(".conv", ".bn")


def convolutions(state: dict[str, torch.Tensor]) -> list[str]:
    """Return the names of a net's convolutions."""
    names = []
    for name, tensor in state.items():
        if name.endswith(".weight") and tensor.ndim == 4:
            names.append(name.removesuffix(".weight"))
    return names


def he_deviation(weight: torch.Tensor) -> float:
    """Return the standard deviation that He's initialisation gives a weight (O, I, H, W)."""
    outputs, _, height, width = weight.shape
    return math.sqrt(2 / (outputs * height * width))


def rescale(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a ResNet's tensors with each convolution at He's deviation, float32."""
    rescaled = dict(state)
    for name in convolutions(state):
        weight = state[f"{name}.weight"].double()
        factor = he_deviation(weight) / float(weight.std(correction=0))
        rescaled[f"{name}.weight"] = (weight * factor).float()
        norm = batch_norm_of(name)
        for part, scale in (("running_mean", factor), ("running_var", factor**2)):
            rescaled[f"{norm}.{part}"] = (state[f"{norm}.{part}"].double() * scale).float()
    return rescaled


def deviations(backbone: str, state: dict[str, torch.Tensor]) -> pd.DataFrame:
    """Return each convolution's standard deviation beside He's."""
    rows = []
    for name in convolutions(state):
        weight = state[f"{name}.weight"].double()
        rows.append([backbone, name, float(weight.std(correction=0)), he_deviation(weight)])
    return pd.DataFrame(rows, columns=COLUMNS)


def logits(backbone: str, weights: Weights, image_size: int) -> torch.Tensor:
    """Return the 1,000 ImageNet logits of the first validation pictures (N, 1000)."""
    model = create_model(backbone, 1000, pretrained=weights)
    device = choose_device(model, mean=weights.mean, std=weights.std)
    device.place(model).eval()
    _, valid = split_folds(load_cifar100("train", own_pictures=False))
    loader = make_loader(
        valid[:PICTURES],
        eval_transform(image_size, normalize=False),
        batch_size=BATCH,
        num_workers=0,
    )
    answers = []
    with torch.inference_mode():
        for images, _ in loader:
            answers.append(model(device.prepare(images)).float().cpu())
    return torch.cat(answers)


def compare(backbone: str, before: Weights, after: Weights) -> None:
    """Print how far the logits of both lie apart, a line a size."""
    for image_size in IMAGE_SIZES:
        one = logits(backbone, before, image_size)
        other = logits(backbone, after, image_size)
        difference = float((one - other).abs().max())
        largest = float(one.abs().max())
        agreed = int((one.argmax(1) == other.argmax(1)).sum())
        print(
            f"{backbone}, {image_size} px: logits differ by {difference:.2g} at most,"
            f" of {largest:.1f}; {agreed:,} of {len(one):,} likeliest classes are the same"
        )


def write_table(rows: pd.DataFrame, path: Path) -> None:
    """Write a table; rows of other backbones that it has already are kept."""
    if path.exists():
        kept = pd.read_csv(path)
        kept = kept[~kept.backbone.isin(rows.backbone)]
        rows = pd.concat([kept, rows])
    ensure_folder(path.parent)
    with atomic_path(path) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.5f", lineterminator="\n")


def main() -> int:
    """Rescale, compare, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backbone", choices=["ResNet18", "ResNet50"], help="Which net's weights.")
    parser.add_argument("before", type=Path, help="Read the weights from this file.")
    parser.add_argument("after", type=Path, help="Write the rescaled ones here, or read them.")
    parser.add_argument("--table", type=Path, help="Add each layer's deviation to this CSV.")
    asked = parser.parse_args()
    name = BACKBONES[asked.backbone]
    try:
        before = read_weights(asked.before, name)
        if not asked.after.exists():
            origin = f"{before.origin}, rescaled to He's standard deviation"
            ensure_folder(asked.after.parent)
            with atomic_path(asked.after) as temporary:
                save_file(rescale(before.state), temporary, metadata={"origin": origin})
        after = read_weights(asked.after, name)
        compare(asked.backbone, before, after)
        if asked.table:
            write_table(deviations(asked.backbone, before.state), asked.table)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
