"""What every test of tables and figures shares."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """No window opens, and no figure stays."""
    plt.switch_backend("agg")
    yield
    plt.close("all")
