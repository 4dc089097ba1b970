"""Train four nets for two epochs eagerly and as a CUDA graph, and compare their numbers.

    python scripts/compare_engines.py

Needs an NVIDIA GPU. Exit code 1 where a loss or an accuracy differs in the fourth decimal, and by
more than twice what two eager trainings differ by (cuDNN adds up in any order): then no record is
to be made with the graph, and CIFARLIB_ENGINE=eager trains without it.
"""

import argparse
import os
import sys

import pandas as pd
import torch

from cifarlib import (
    Callback,
    Experiment,
    create_model,
    eval_transform,
    fit,
    load_cifar100,
    make_loader,
    split_folds,
    train_transform,
)
from cifarlib.training.callbacks import Training

BACKBONES = ("EfficientNet_b0", "ResNet18", "ResNet50", "SE-ResNeXt50")
PICTURES = 400  # that are learned from: six whole batches and an odd one
EPOCHS = 2
MOST_DIFFERENCE = 5e-5


def history_of(experiment: Experiment, engine: str) -> pd.DataFrame:
    """Return two epochs' losses and accuracies under an engine; ValueError if it was not used."""
    train, valid = split_folds(load_cifar100("train", own_pictures=False))
    torch.manual_seed(experiment.seed)
    model = create_model(experiment.backbone, image_size=experiment.image_size)
    train_loader = make_loader(
        train[:PICTURES],
        train_transform(experiment.image_size, normalize=False),
        shuffle=True,
        num_workers=0,
    )
    valid_loader = make_loader(
        valid[:PICTURES],
        eval_transform(experiment.image_size, normalize=False),
        num_workers=0,
    )
    os.environ["CIFARLIB_ENGINE"] = engine
    used = UsedEngine()
    history = fit(
        model,
        train_loader,
        valid_loader,
        epochs=EPOCHS,
        lr=experiment.learning_rate,
        callbacks=[used],
        progress=False,
    )
    if used.engine != engine:
        raise ValueError(f"{experiment.backbone} cannot be trained with engine {engine}")
    return history.drop(columns="seconds")


class UsedEngine(Callback):
    """Which engine drove the last epoch."""

    def on_epoch_end(self, training: Training) -> None:
        """Note it, before the training's end gives its memory back."""
        self.engine = training.engine.used


def main() -> int:
    """Compare the engines on each net, a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", nargs="+", default=BACKBONES, help="Compare these nets.")
    parser.add_argument("--image-size", type=int, default=32, help="Pixels a side (default: 32).")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        print("error: a CUDA graph needs an NVIDIA GPU, and there is none", file=sys.stderr)
        return 2
    all_agree = True
    try:
        for backbone in asked.backbone:
            experiment = Experiment(backbone, asked.image_size, "scratch", "smoke")
            once, twice = (history_of(experiment, "eager") for _ in range(2))
            graph = history_of(experiment, "graph")
            eager_apart = float((once - twice).abs().to_numpy().max())
            graph_apart = float((once - graph).abs().to_numpy().max())
            print(
                f"{backbone}, {asked.image_size} px: eager and graph {graph_apart:.1e} apart,"
                f" two eager ones {eager_apart:.1e}"
            )
            all_agree = all_agree and graph_apart <= max(MOST_DIFFERENCE, 2 * eager_apart)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return int(not all_agree)


if __name__ == "__main__":
    sys.exit(main())
