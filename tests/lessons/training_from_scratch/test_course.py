"""Where training from scratch ends is told of the published and of ours."""

from helpers import RESNET18, runs_of

from cifarlib.experiments.store import find_published_run
from cifarlib.lessons.training_from_scratch.course import overfitting_table, pairs_of_ends


def test_the_table_of_overfitting_puts_ours_in_brackets_where_recorded():
    table = overfitting_table(runs_of("scratch", record=RESNET18))
    assert table.loc["ResNet18", "32 px: 輪 epoch"] == "22 (23)"
    assert "(" not in table.loc["ResNet18", "64 px: 輪 epoch"]


def test_pairs_are_the_published_of_every_cell_and_ours_where_recorded():
    ends = pairs_of_ends(runs_of("scratch", record=RESNET18))
    assert (ends.whose == "published").sum() == 12
    (ours,) = ends[ends.whose == "ours"].itertuples()
    assert ours.first == find_published_run(RESNET18).history.train_accuracy.iloc[-1]
