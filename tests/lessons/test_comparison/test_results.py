"""The comparison is drawn with ours beside the published, and shares of confusion."""

import numpy as np
import pandas as pd

from cifarlib.lessons.test_comparison.results import confusion, results_figure


def test_results_join_ours_and_the_published_and_leave_open_cells_hollow():
    row = {"kind": "scratch", "image_size": 32, "published": 0.4, "held_back": False}
    cells = pd.DataFrame(
        [
            row | {"backbone": "ResNet18", "ours": 0.39},
            row | {"backbone": "ResNet50", "ours": np.nan},
        ]
    )
    joined, dash, filled, hollow = results_figure(cells).axes[0].lines
    np.testing.assert_array_equal(joined.get_ydata(), [0.4, 0.39])
    assert dash.get_ydata() == [0.4]
    assert filled.get_ydata() == [0.39]
    assert hollow.get_ydata() == [0.4]
    assert hollow.get_fillstyle() == "none"


def test_the_confusion_is_shown_as_shares_of_each_true_class():
    counts = np.array([[3, 1], [0, 0]])
    figure = confusion(counts, ["a_cat", "dogs"], masked=False)
    shares = figure.axes[0].collections[0].get_array()
    np.testing.assert_allclose(np.ravel(shares), [75, 25, 0, 0])
    # the diagonal is left out unless it is asked for
    shares = confusion(counts, ["a_cat", "dogs"]).axes[0].collections[0].get_array()
    assert np.ma.count(shares) == 2
