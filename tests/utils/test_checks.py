"""Numbers that a user hands in are Python's own afterwards, or refused in words."""

import numpy as np
import pytest

from cifarlib.utils.checks import as_list, real_number, whole_number


@pytest.mark.parametrize("got", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_numpys_integers_are_whole_numbers_too(got):
    number = whole_number("side", got, least=1, most=9)
    assert (number, type(number)) == (3, int)


@pytest.mark.parametrize("got", [True, np.True_, 3.0, "3", None, 0, 10, np.int64(-1), [3]])
def test_what_is_no_whole_number_within_its_limits_is_named(got):
    with pytest.raises(ValueError, match=r"got side .*, expected a whole number, 1 to 9$"):
        whole_number("side", got, least=1, most=9)


@pytest.mark.parametrize("got", [0.001, np.float32(0.001), np.float64(0.001), np.float16(0.001)])
def test_numpys_floats_are_the_numbers_that_they_are_written_as(got):
    number = real_number("lr", got, above=0)
    assert (number, type(number)) == (0.001, float)


@pytest.mark.parametrize("got", [True, "0.1", None, float("nan"), float("inf"), 0, -1, 2])
def test_what_is_no_number_within_its_limits_is_named(got):
    with pytest.raises(ValueError, match=r"got lr .*, expected a number above 0, 1 at most$"):
        real_number("lr", got, above=0, most=1)


def test_one_name_or_number_stands_for_a_list_of_one():
    assert as_list("ResNet18") == ["ResNet18"]
    assert as_list(32) == [32]
    assert as_list(np.int64(32)) == [32]
    assert as_list(("a", "b")) == ["a", "b"]
    assert as_list(np.array([32, 64])) == [32, 64]
