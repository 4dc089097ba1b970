"""One plain progress bar for long work."""

import sys
from typing import Any

from tqdm import tqdm

SHAPE = "{desc}: {percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


def progress_bar(**options: Any) -> tqdm:
    """Return a tqdm bar, to standard output in a notebook and to standard error elsewhere."""
    stream = sys.stderr
    # a notebook shows standard error as an alarm
    if type(sys.stdout).__module__.startswith("ipykernel"):
        stream = sys.stdout
    return tqdm(file=stream, bar_format=SHAPE, mininterval=0.5, **options)
