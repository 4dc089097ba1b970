"""Speeds are measured in the ways that are asked for."""

import pytest
from helpers import SMOKE

from cifarlib.tools.benchmark import images_per_second


def test_the_ratio_is_that_of_the_loop_to_the_bare_step():
    speeds = images_per_second(SMOKE, steps=1, windows=1)
    assert speeds.keys() == {"bare", "loop", "ratio"}
    assert speeds["ratio"] == pytest.approx(speeds["loop"] / speeds["bare"])


def test_no_step_is_refused():
    with pytest.raises(ValueError, match="got steps 0, expected a whole number, 1 to"):
        images_per_second(SMOKE, steps=0)
