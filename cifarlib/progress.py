"""One plain progress bar for long work: to standard output in a notebook, to standard error elsewhere."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(**options: Any) -> tqdm:
    """Return a tqdm bar; a notebook shows standard error as an alarm, so there it goes to the output."""
    stream = sys.stdout if type(sys.stdout).__module__.startswith("ipykernel") else sys.stderr
    shape = "{desc}: {percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
    return tqdm(file=stream, bar_format=shape, mininterval=0.5, **options)
