"""The literature's results through the years, with ours beside them."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ..figures import WIDTH

# where a paper's name stands beside its point, in points of type, so that none covers another
RIGHT = (6, -3)
LEFT = (-5, 2)
BELOW = (5, -10)
LABEL_OFFSETS = {
    "Network in Network": (-5, 3),
    "Spatially-sparse CNN": (-5, -10),
    "Wide ResNet": BELOW,
    "DenseNet-BC (L190 k40)": (-5, 4),
    "PyramidNet + ShakeDrop + AutoAugment": LEFT,
    "GPipe (AmoebaNet)": BELOW,
    "BiT-L (ResNet-152x4)": LEFT,
    "EffNet-L2 (SAM)": LEFT,
}


def literature_line(papers: pd.DataFrame, marks: Mapping[str, float]) -> Figure:
    """Draw top-1 (%) of papers by date, and horizontal `marks` (name: top-1 %)."""
    palette = {"none": "#0072b2", "ImageNet": "#009e73", "JFT-300M": "#cc79a7"}
    mark_colors = ("#c0392b", "#555555", "#e69f00")
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2), layout="constrained")
    for extra, group in papers.groupby("extra_data", sort=False):
        axis.scatter(
            group.published,
            group.top1_percent,
            color=palette[str(extra)],
            label=f"extra data: {extra}",
            zorder=3,
        )
    for paper in papers.itertuples():
        offset = LABEL_OFFSETS.get(str(paper.method), RIGHT)
        alignment = "left"
        if offset[0] < 0:
            alignment = "right"
        axis.annotate(
            str(paper.method),
            (paper.published, paper.top1_percent),
            xytext=offset,
            textcoords="offset points",
            ha=alignment,
            fontsize=6.5,
        )
    record = papers[papers.record == "yes"].sort_values(["published", "top1_percent"])
    axis.plot(record.published, record.top1_percent, color="#bbbbbb", linewidth=1, zorder=1)
    for number, (name, top1) in enumerate(marks.items()):
        axis.axhline(
            top1,
            color=mark_colors[number % len(mark_colors)],
            linestyle="--",
            linewidth=1.2,
            label=f"{name}: {top1:.2f}%",
        )
    axis.set(xlabel="published", ylabel="CIFAR-100 top-1 (%)")
    axis.margins(x=0.12)
    figure.legend(fontsize=7.5, loc="outside lower center", ncols=2, frameon=False)
    return figure
