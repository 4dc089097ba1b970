"""The comparison compares like with like, and says what is open."""

import numpy as np
import pandas as pd
import pytest

from cifarlib import BACKBONES, find_run, mcnemar
from cifarlib.config import IMAGE_SIZES
from cifarlib.lessons.test_comparison.fair import (
    comparison_cells,
    fair_pairs,
    knob_gaps,
    knob_table,
    pairs_table,
    points_between,
    side_by_side,
)
from cifarlib.published.read import published_table

FIRST = "ResNet18-32px-scratch-writeup"
HELD_BACK = "ResNet50-128px-imagenet-writeup"


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    """The comparison as it is recorded."""
    return comparison_cells()


def cell(cells: pd.DataFrame, kind: str, image_size: int, backbone: str) -> pd.Series:
    """Return one row of the cells."""
    place = ["kind", "image_size", "backbone"]
    return cells.set_index(place).loc[(kind, image_size, backbone)]


# --- cells ----------------------------------------------------------------------------------------


def test_every_cell_has_ours_beside_the_published(cells):
    assert len(cells) == 3 * len(IMAGE_SIZES) * len(BACKBONES)
    found = cell(cells, "scratch", 32, "ResNet18")
    published = published_table().set_index(["image_size", "backbone"])
    assert found.ours == find_run(FIRST).test["accuracy"]
    assert found.published == published.accuracy_scratch[32, "ResNet18"]
    with_tta = cell(cells, "fine-tuned + TTA", 128, "ResNet50")
    assert with_tta.ours == find_run(HELD_BACK).test["tta_accuracy"]


def test_a_cell_that_is_open_is_empty_and_one_that_was_held_back_says_so(cells):
    assert np.isnan(cell(cells, "fine-tuned", 128, "SE-ResNeXt50").ours)
    assert np.isnan(cell(cells, "scratch", 32, "EfficientNet_lite0").published)
    assert cell(cells, "fine-tuned", 128, "ResNet50").held_back
    assert not cell(cells, "fine-tuned", 32, "ResNet18").held_back
    assert not cells[cells.ours.isna()].held_back.any()


def test_the_table_reads_ours_before_the_published():
    rows = [
        ["scratch", 32, "ResNet18", 0.391, 0.401, False],
        ["fine-tuned", 64, "ResNet18", 0.5, 0.6, True],
        ["scratch", 64, "ResNet18", np.nan, 0.49, False],
        ["fine-tuned", 32, "ResNet18", 0.4, np.nan, False],
    ]
    columns = ["kind", "image_size", "backbone", "ours", "published", "held_back"]
    some = pd.DataFrame(rows, columns=columns)
    every = pd.MultiIndex.from_product(
        [["scratch", "fine-tuned", "fine-tuned + TTA"], IMAGE_SIZES, BACKBONES],
        names=columns[:3],
    )
    some = some.set_index(columns[:3]).reindex(every).reset_index()
    some["held_back"] = some.held_back.fillna(False).astype(bool)
    scratch, tuned = side_by_side(some).T.groupby(level=0, sort=False)
    assert scratch[1]["ResNet18"].tolist() == ["39.1% / 40.1%", "– / 49.0%", "–"]
    assert tuned[1]["ResNet18"].tolist() == ["40.0% / –", "50.0% † / 60.0%", "–"]


# --- pairs ----------------------------------------------------------------------------------------


def test_a_fair_pair_has_one_size_start_scale_and_exam():
    pairs = fair_pairs()
    assert len(pairs) >= 8
    for better, other in pairs:
        for run in (better, other):
            assert run.experiment.budget == "writeup"
            assert not run.is_held_back
        assert better.experiment.image_size == other.experiment.image_size
        assert better.experiment.init == other.experiment.init
        assert better.test["accuracy"] >= other.test["accuracy"]
    assert [points_between(pair) for pair in pairs] == sorted(map(points_between, pairs))


def test_runs_that_were_held_back_or_had_other_terms_make_no_pair():
    names = [FIRST, HELD_BACK, "ResNet18-64px-scratch-writeup", "ResNet18-32px-scratch-quick"]
    assert fair_pairs([find_run(name) for name in names]) == []


def test_the_table_of_pairs_corrects_for_their_number_and_keeps_to_the_rule():
    pairs = fair_pairs()
    table = pairs_table(pairs, n=5)
    assert len(table) == 5
    assert f"p × {len(pairs)}" in table
    one, other = pairs[4]
    correct = len(pairs) * mcnemar(one.correct(), other.correct())
    last = table.iloc[4]
    assert (last["分得出來 told apart"] == "yes") == (
        correct < 0.05 and points_between((one, other)) >= 1
    )
    only_first = int((one.correct() & ~other.correct()).sum())
    assert last["只有 A 對 only A"] == f"{only_first:,}"


def test_less_than_a_point_is_not_told_apart_however_small_the_p(monkeypatch):
    monkeypatch.setattr("cifarlib.lessons.test_comparison.fair.mcnemar", lambda first, second: 0.0)
    pairs = fair_pairs()
    told = pairs_table(pairs, n=len(pairs))["分得出來 told apart"]
    close = [points_between(pair) < 1 for pair in pairs]
    assert any(close)
    assert [word == "no" for word in told] == close


# --- knobs ----------------------------------------------------------------------------------------


def test_each_knob_is_turned_alone():
    index = pd.MultiIndex.from_tuples(
        [
            ("scratch", 32, "a"),
            ("scratch", 32, "b"),
            ("scratch", 64, "a"),
            ("fine-tuned", 32, "a"),
        ],
        names=["kind", "image_size", "backbone"],
    )
    gaps = list(knob_gaps(pd.Series([0.2, 0.3, 0.6, 0.5], index)).values())
    start, size_64, size_128, backbone = gaps
    assert start.tolist() == pytest.approx([0.3])
    assert size_64.tolist() == pytest.approx([0.4])
    assert size_128.empty
    assert backbone.tolist() == pytest.approx([0.1])


def test_the_published_knobs_have_all_their_pairs_and_ours_leave_out_the_held_back(cells):
    table = knob_table(cells)
    assert table["公布 published", "比較 pairs"].tolist() == ["12", "8", "8", "6"]
    start = table["我們 ours"].iloc[0]
    usable = cells[~cells.held_back].dropna(subset="ours")
    by_start = usable[usable.kind.isin(["scratch", "fine-tuned"])]
    twice = by_start.groupby(["image_size", "backbone"]).size()
    assert start["比較 pairs"] == str((twice == 2).sum())
