"""A figure's digest follows its numbers alone."""

import matplotlib.pyplot as plt
import numpy as np

from cifarlib.lessons.digest import digest


def test_a_digest_changes_with_the_numbers_and_not_with_the_looks():
    def drawn(values, color):
        figure, axis = plt.subplots()
        axis.plot(values, color=color)
        axis.bar([1, 2], values)
        axis.scatter(values, values)
        axis.imshow(np.outer(values, values))
        return digest(figure)

    same = drawn([1.0, 2.0], "red")
    assert drawn([1.0, 2.0], "blue") == same
    assert drawn([1.0, 2.00001], "red") == same  # rounded
    assert drawn([1.0, 2.1], "red") != same
    assert same.startswith("figure: 1 panels, ")
