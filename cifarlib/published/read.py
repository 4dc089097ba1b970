"""What others measured, and what was measured aside from the runs: published tables as data."""

import pandas as pd

from ..utils.files import PACKAGE

TABLES = PACKAGE / "published" / "tables"


def published_table() -> pd.DataFrame:
    """Return the write-up's test accuracies, a row a size and backbone, as fractions.

    Columns: image_size, backbone, accuracy_scratch, accuracy_pretrained, accuracy_pretrained_tta3.
    """
    return pd.read_csv(TABLES / "test_accuracy.csv")


def published_curves() -> pd.DataFrame:
    """Return the write-up's training curves, read off its plots, a row an epoch of each panel.

    Columns: image_size, backbone, init, epoch, train_loss, valid_loss (nats), train_accuracy,
    valid_accuracy (fractions). A reading is off by 0.03 points of accuracy or 0.003 nats at most;
    it is empty where the line leaves its panel.
    """
    return pd.read_csv(TABLES / "published_curves.csv")


def published_curve(backbone: str, image_size: int, init: str) -> pd.DataFrame:
    """Return one panel's curve of published_curves, by epoch; empty where none was published."""
    curves = published_curves()
    is_it = (
        (curves.backbone == backbone) & (curves.image_size == image_size) & (curves.init == init)
    )
    return curves[is_it].set_index("epoch")


def published_backbones() -> list[str]:
    """Return the display names of the write-up's backbones, in its order."""
    return list(dict.fromkeys(published_curves().backbone))


def literature() -> pd.DataFrame:
    """Return CIFAR-100 results of 2013-2020, a row a paper.

    Columns: published (date), method, top1_percent, extra_data, record, reference.
    """
    return pd.read_csv(TABLES / "literature.csv", keep_default_na=False, parse_dates=["published"])


def measured_speeds() -> pd.DataFrame:
    """Return the training speed of `benchmark`'s whole loop, a row a backbone, size and stem.

    Columns: backbone, image_size (px), stem, images_per_second, device.
    """
    return pd.read_csv(TABLES / "speed.csv")


def measured_batch_norm() -> pd.DataFrame:
    """Return what other BatchNorm statistics make of trained nets (scripts/batch_norm.py).

    Columns: run, statistics, valid_loss (nats), valid_accuracy (a fraction).
    """
    return pd.read_csv(TABLES / "batch_norm.csv")


def measured_weight_scale() -> pd.DataFrame:
    """Return the scale of the compressed ImageNet weights (scripts/rescale_weights.py).

    Columns: backbone, layer (a convolution, from the first to the last), deviation (of its weights,
    as they were published), he_deviation (that of He's initialisation).
    """
    return pd.read_csv(TABLES / "weight_scale.csv")
