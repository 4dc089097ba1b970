"""The runs that 03 and 04 show: recorded ones, and a reader's own."""

import contextlib
import os
from collections.abc import Iterable

from ..config import BACKBONES, Experiment, timm_name
from ..experiments.record import Run
from ..experiments.run import run
from ..experiments.store import data_id_here, largest_run
from ..models.weights import MissingWeights, find_weights
from ..utils.checks import as_list


def collect_runs(
    backbones: str | Iterable[str],
    image_size: int,
    init: str,
    *,
    budget: str | None = None,
) -> dict[str, Run | None]:
    """Return each backbone's run: recorded ones at the write-up's scale, a reader's own trained.

    A backbone of the series has its `writeup` record or stays open (None): what takes hours is not
    begun unasked. Another one, or any on pictures of one's own, has its largest recorded run, else
    is trained at `budget` (by default CIFARLIB_BUDGET, else the smallest); it stays open where its
    ImageNet weights are not at hand.
    """
    if budget is None:
        budget = os.environ.get("CIFARLIB_BUDGET", "smoke")
    on_cifar100 = data_id_here(image_size) == ""
    runs: dict[str, Run | None] = {}
    for backbone in as_list(backbones):
        if backbone in BACKBONES and on_cifar100:
            runs[backbone] = largest_run(backbone, image_size, init, budgets=["writeup"])
            continue
        runs[backbone] = largest_run(backbone, image_size, init)
        if runs[backbone] is None:
            with contextlib.suppress(MissingWeights):
                # those of the series' backbones are not downloaded unasked
                if init == "imagenet" and backbone in BACKBONES:
                    find_weights(timm_name(backbone), download=False)
                runs[backbone] = run(Experiment(backbone, image_size, init, budget))
    return runs
