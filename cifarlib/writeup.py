"""The published write-up's test accuracies and its literature line, as data."""

import pandas as pd

from .files import PACKAGE

# Facts of the protocol that the notebooks quote; budgets, recipes and policies hold the rest.
PROTOCOL = {"folds": 5, "fold": 0, "seed": 42, "batch_size": 64, "scratch_epochs": 50, "finetune_epochs": 10}


def published_table() -> pd.DataFrame:
    """Return the published test accuracies (fractions), a row for each image size and backbone.

    Columns: image_size, backbone, accuracy_scratch, accuracy_pretrained, accuracy_pretrained_tta3.
    """
    return pd.read_csv(PACKAGE / "tables" / "test_accuracy.csv")


def literature() -> pd.DataFrame:
    """Return CIFAR-100 results of 2013-2020: published, method, top1_percent, extra_data, record, reference."""
    return pd.read_csv(PACKAGE / "tables" / "literature.csv", keep_default_na=False, parse_dates=["published"])
