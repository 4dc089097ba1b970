"""The comparison at the write-up's scale: its cells, its fair pairs, what each knob is worth."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...config import BACKBONES, IMAGE_SIZES
from ...evaluation.metrics import mcnemar
from ...experiments.labels import SCALE, STARTS, run_label
from ...experiments.record import Run
from ...experiments.store import largest_run, load_runs
from ...published.read import published_table
from ..figures import p_in_words

# parts of the comparison: init, measure in Run.test, column of the published table
KINDS = {
    "scratch": ("scratch", "accuracy", "accuracy_scratch"),
    "fine-tuned": ("imagenet", "accuracy", "accuracy_pretrained"),
    "fine-tuned + TTA": ("imagenet", "tta_accuracy", "accuracy_pretrained_tta3"),
}
STARTS_IN_WORDS = {"scratch": "從零開始 scratch", "fine-tuned": "微調 fine-tuned"}
LEAST_POINTS = 1.0  # single runs that lie closer are not told apart, for seeds scatter too
LEAST_P = 0.05


# --- cells ----------------------------------------------------------------------------------------


def comparison_cells() -> pd.DataFrame:
    """Return test accuracy at the write-up's scale, a row a kind, image size and backbone.

    Columns: kind (see KINDS), image_size (px), backbone, ours, published (fractions; NaN where
    open), held_back (bool: see Run.is_held_back). Ours are on CIFAR-100, as the published are.
    """
    published = published_table().set_index(["image_size", "backbone"])
    rows = []
    for kind, (init, measure, column) in KINDS.items():
        for image_size, backbone in itertools.product(IMAGE_SIZES, BACKBONES):
            run = largest_run(backbone, image_size, init, budgets=[SCALE], cifar100=True)
            rows.append(
                {
                    "kind": kind,
                    "image_size": image_size,
                    "backbone": backbone,
                    "ours": run.test[measure] if run else np.nan,
                    "published": published[column].get((image_size, backbone), np.nan),
                    "held_back": run is not None and run.is_held_back,
                }
            )
    return pd.DataFrame(rows)


def side_by_side(cells: pd.DataFrame) -> pd.DataFrame:
    """Return comparison_cells as a table to read: a row a backbone, "ours / published" by size.

    Without the kind that has test-time augmentation; "–" where a number is open, † where ours was
    held back.
    """
    columns = {}
    for kind, image_size in itertools.product(STARTS_IN_WORDS, IMAGE_SIZES):
        is_it = (cells.kind == kind) & (cells.image_size == image_size)
        column = {}
        cell: Any
        for cell in cells[is_it].itertuples():
            column[cell.backbone] = _both_in_words(cell.ours, cell.published, cell.held_back)
        columns[STARTS_IN_WORDS[kind], f"{image_size} px"] = column
    return pd.DataFrame(columns).loc[list(BACKBONES)]


def _both_in_words(ours: float, published: float, is_held_back: bool) -> str:
    """Return a cell's two numbers, "ours / published"."""
    if np.isnan(ours) and np.isnan(published):
        return "–"
    dagger = ""
    if is_held_back:
        dagger = " †"
    return f"{_percent(ours)}{dagger} / {_percent(published)}"


def _percent(share: float) -> str:
    if np.isnan(share):
        return "–"
    return f"{share:.1%}"


# --- pairs ----------------------------------------------------------------------------------------


def fair_pairs(runs: Iterable[Run] | None = None) -> list[tuple[Run, Run]]:
    """Return all pairs of runs that can be compared fairly, (better, other), the closest first.

    Both have the write-up's scale, one image size, one start and the very same test pictures, and
    neither is held back by its weights' scale. runs: by default all that are recorded.
    """
    if runs is None:
        runs = load_runs(budget=SCALE)
    fair = [run for run in runs if run.experiment.budget == SCALE and not run.is_held_back]
    fair.sort(key=lambda run: -run.test["accuracy"])
    pairs = []
    for better, other in itertools.combinations(fair, 2):
        if _terms(better) == _terms(other):
            pairs.append((better, other))
    return sorted(pairs, key=points_between)


def _terms(run: Run) -> tuple[int, str, str]:
    """Return what two runs must share to be compared."""
    pictures = run.provenance["data"]["fingerprints"]["test"]
    return (run.experiment.image_size, run.experiment.init, pictures)


def points_between(pair: tuple[Run, Run]) -> float:
    """Return how many points of test accuracy the first of a pair is better."""
    better, other = pair
    return 100 * (better.test["accuracy"] - other.test["accuracy"])


def pairs_table(pairs: Sequence[tuple[Run, Run]], n: int = 8) -> pd.DataFrame:
    """Return McNemar's test of the first n pairs, a row each.

    p is multiplied by the number of all pairs (Bonferroni). Told apart are those of LEAST_POINTS or
    more with a p below LEAST_P.
    """
    rows = []
    for better, other in pairs[:n]:
        one = better.correct()
        two = other.correct()
        points = points_between((better, other))
        p = min(1.0, len(pairs) * mcnemar(one, two))
        is_told_apart = points >= LEAST_POINTS and p < LEAST_P
        rows.append(
            {
                "A": run_label(better),
                "B": run_label(other),
                "只有 A 對 only A": f"{(one & ~two).sum():,}",
                "只有 B 對 only B": f"{(two & ~one).sum():,}",
                "A − B (points)": f"{points:.1f}",
                f"p × {len(pairs)}": p_in_words(p, decimals=2),
                "分得出來 told apart": "yes" if is_told_apart else "no",
            }
        )
    return pd.DataFrame(rows).set_index("A")


# --- knobs ----------------------------------------------------------------------------------------


def knob_gaps(accuracy: pd.Series) -> dict[str, pd.Series]:
    """Return by how much accuracy moves when one knob is turned and all else is the same.

    accuracy: fractions by (kind, image_size, backbone), the kinds without test-time augmentation.
    The gaps are fractions, one a pair of cells; for the backbones one a group of cells, best minus
    worst.
    """
    wide = accuracy.reset_index(name="accuracy").pivot(
        index=["image_size", "backbone"],
        columns="kind",
        values="accuracy",
    )
    wide = wide.reindex(columns=list(STARTS.values()))
    by_size = accuracy.unstack("image_size").reindex(columns=list(IMAGE_SIZES))
    groups = accuracy.dropna().groupby(level=["kind", "image_size"])
    spread = groups.max() - groups.min()
    gaps = {
        "起點 start: fine-tuned − scratch": wide["fine-tuned"] - wide["scratch"],
        "尺寸 size: 64 − 32 px": by_size[64] - by_size[32],
        "尺寸 size: 128 − 32 px": by_size[128] - by_size[32],
        "backbone: best − worst": spread[groups.size() > 1],
    }
    return {knob: gap.dropna() for knob, gap in gaps.items()}


def knob_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return what each knob is worth in points: the published and ours, each like with like.

    cells: as comparison_cells returns them. Ours are without those that were held back.
    """
    plain = cells[cells.kind.isin(STARTS.values())]
    place = ["kind", "image_size", "backbone"]
    published = plain.set_index(place).published
    ours = plain[~plain.held_back].set_index(place).ours
    columns = {}
    for whose, accuracy in {"公布 published": published, "我們 ours": ours}.items():
        gaps = knob_gaps(accuracy)
        columns[whose, "比較 pairs"] = {knob: str(len(gap)) for knob, gap in gaps.items()}
        columns[whose, "平均 mean"] = {knob: _mean(gap) for knob, gap in gaps.items()}
        columns[whose, "最小至最大 range"] = {knob: _range(gap) for knob, gap in gaps.items()}
    return pd.DataFrame(columns).loc[list(knob_gaps(published))]


def _mean(gaps: pd.Series) -> str:
    if gaps.empty:
        return "–"
    return f"{100 * gaps.mean():+.1f}"


def _range(gaps: pd.Series) -> str:
    if len(gaps) < 2:
        return "–"
    return f"{100 * gaps.min():+.1f} – {100 * gaps.max():+.1f}"
