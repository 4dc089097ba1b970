"""Tables of runs: the numbers behind the curves, and the write-up's table rebuilt beside its published one."""

from collections.abc import Mapping

import pandas as pd

from .experiments import BUDGETS, IMAGE_SIZES, Experiment
from .models import BACKBONES
from .records import Run, find_record
from .writeup import published_table


def largest_run(backbone: str, image_size: int, init: str) -> Run | None:
    """Return the recorded run of the largest budget for one cell of the comparison, or None."""
    cells = (Experiment(backbone, image_size, init, budget) for budget in BUDGETS)
    return next((found for cell in cells if (found := find_record(cell.id))), None)


def summary(runs: Mapping[str, Run | None]) -> pd.DataFrame:
    """Return the rounded numbers behind the curves, a row a backbone: first the budget, then the last epoch.

    Accuracies in %; best_epoch is that of the best validation accuracy; minutes of training. No test score.
    """
    rows = []
    for backbone, run in runs.items():
        if run is None:
            rows.append({"backbone": backbone, "budget": "open"})
            continue
        last = run.history.iloc[-1]
        rows.append(
            {
                "backbone": backbone,
                "budget": run.experiment.budget,
                "epochs": str(len(run.history)),
                "train_loss": f"{last.train_loss:.2f}",
                "valid_loss": f"{last.valid_loss:.2f}",
                "train_accuracy": f"{last.train_accuracy:.1%}",
                "valid_accuracy": f"{last.valid_accuracy:.1%}",
                "best_valid": f"{run.history.valid_accuracy.max():.1%}",
                "best_epoch": str(run.best_epoch),
                "minutes": f"{run.history.seconds.sum() / 60:.1f}",
            }
        )
    return pd.DataFrame(rows).fillna("").set_index("backbone")


def comparison() -> pd.DataFrame:
    """Return the write-up's test table with ours beside it: a row for each size and backbone.

    Columns: (scratch | fine-tuned | fine-tuned + TTA) × (ours, budget, published); accuracies in %,
    "open" where no run is recorded, "–" where the write-up has none.
    """
    published = published_table().set_index(["image_size", "backbone"])
    kinds = {
        "scratch": ("scratch", "accuracy", "accuracy_scratch"),
        "fine-tuned": ("imagenet", "accuracy", "accuracy_pretrained"),
        "fine-tuned + TTA": ("imagenet", "tta_accuracy", "accuracy_pretrained_tta3"),
    }
    rows = {}
    for image_size in IMAGE_SIZES:
        for backbone in BACKBONES:
            row = {}
            for kind, (init, measure, column) in kinds.items():
                run = largest_run(backbone, image_size, init)
                row[kind, "ours"] = f"{run.test[measure]:.1%}" if run else "open"
                row[kind, "budget"] = run.experiment.budget if run else ""
                known = (image_size, backbone) in published.index
                row[kind, "published"] = f"{published.loc[(image_size, backbone), column]:.1%}" if known else "–"
            rows[image_size, backbone] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.names, table.columns = ["image_size", "backbone"], pd.MultiIndex.from_tuples(table.columns)
    return table
