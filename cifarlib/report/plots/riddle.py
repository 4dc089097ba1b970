"""The riddle of the fine-tunings that fell short, in one figure: see notebook 04."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...experiments.record import Run
from ...lessons.figures import COLORS, WIDTH, look, percent_axis
from ...published.read import measured_weight_scale, published_curve

CELL = ("ResNet18", 32, "imagenet")  # what the riddle's runs are of
LOOKS = ("--", "--o", "-", "-o")  # of the four runs, in their order


def riddle_figure(runs: Mapping[str, Run | None]) -> Figure:
    """Draw how large the compressed weights are, and what each of four runs makes of its start.

    runs: label to a run of ResNet18 at 32 px, fine-tuned; one that is None is left out.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.4), layout="constrained")
    _draw_scales(left)
    curve = published_curve(*CELL).valid_accuracy
    right.plot(curve.index, curve, color="black", linewidth=1, label="published")
    for line, (label, run) in zip(LOOKS, runs.items(), strict=True):
        if run:
            right.plot(
                run.history.epoch,
                run.history.valid_accuracy,
                line,
                color=COLORS["ResNet18"],
                markersize=4,
                label=label,
            )
    right.set(xlabel="epoch", ylabel="validation accuracy", xticks=range(1, 11), ylim=(0, 0.5))
    percent_axis(right.yaxis)
    right.set_title("ResNet18, 32 px, fine-tuned")
    right.legend(fontsize=8)
    return figure


def _draw_scales(axis: Axes) -> None:
    """Draw each convolution's deviation over He's, from the first layer to the last."""
    for name, layers in measured_weight_scale().groupby("backbone"):
        depth = np.linspace(0, 1, len(layers))
        ratio = layers.deviation / layers.he_deviation
        color = look(str(name))["color"]
        axis.plot(depth, ratio, ".-", color=color, linewidth=1, label=str(name))
    axis.axhline(1, color="gray", linestyle=":", label="He's deviation")
    axis.set(yscale="log", ylim=(0.8, 90), yticks=(1, 2, 5, 10, 20), xticks=())
    axis.set_yticklabels(("1×", "2×", "5×", "10×", "20×"))
    axis.minorticks_off()
    axis.set(xlabel="first to last convolution", ylabel="weights' deviation ÷ He's")
    axis.set_title("the compressed weights")
    axis.legend(fontsize=8)
