"""What each command can be asked: its flags, one function a command."""

import argparse

from ..config import BACKBONES, BUDGETS, IMAGE_SIZES, INITS, POLICIES, RECIPES, STEMS, Experiment

BACKBONE_HELP = f"Train this net: {', '.join(BACKBONES)}, or any timm name."
IMAGE_SIZE_HELP = "Resize pictures to so many pixels a side."
INIT_HELP = f"Begin with random or with ImageNet weights: {', '.join(INITS)}."
BUDGET_HELP = f"Spend so many pictures and epochs: {', '.join(BUDGETS)}."


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """Add what `data` can be asked."""
    parser.add_argument(
        "--root",
        help="Look in this folder (default: CIFARLIB_DATA, else data/).",
    )
    parser.add_argument(
        "--source",
        default="auto",
        help="Take only this source: official, folder, hub or stand-in (default: the nearest).",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="Exit with 1 unless both splits are true CIFAR-100.",
    )


def add_train_flags(parser: argparse.ArgumentParser) -> None:
    """Add what `train` can be asked."""
    _add_cell(parser)
    _add_variations(parser)
    parser.add_argument(
        "--retrain",
        action="store_true",
        help="Train even where you have a record.",
    )
    _add_runs_dir(parser)


def add_plan_flags(parser: argparse.ArgumentParser) -> None:
    """Add what `plan` can be asked."""
    _add_cells(parser)
    _add_variations(parser)


def add_grid_flags(parser: argparse.ArgumentParser) -> None:
    """Add what `grid` can be asked."""
    _add_cells(parser)
    _add_variations(parser)
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="Run so many processes side by side (default: 1).",
    )
    parser.add_argument(
        "--backend",
        default="loky",
        help="Start them by joblib's loky (default), or by dask on a cluster of its own, or yours.",
    )
    _add_runs_dir(parser)


def add_benchmark_flags(parser: argparse.ArgumentParser) -> None:
    """Add what `benchmark` can be asked."""
    parser.add_argument("--backbone", required=True, help=BACKBONE_HELP)
    parser.add_argument("--image-size", type=int, required=True, help=IMAGE_SIZE_HELP)
    parser.add_argument(
        "--steps",
        type=int,
        default=20,
        help="Measure so many batches of 64 a window, in five windows (default: 20).",
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="Measure the loop in plain float32 too.",
    )


def add_results_flags(parser: argparse.ArgumentParser) -> None:
    """Add what `results` can be asked."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="Print a list of {experiment, test, provenance}.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="Check each record against its predictions.",
    )
    parser.add_argument(
        "--filter",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="Show only runs of which this holds, such as backbone=ResNet18 engine=eager.",
    )
    parser.add_argument(
        "--sort",
        metavar="NAME",
        help="Sort by this column or field: numbers from the largest, words by the letter.",
    )
    _add_runs_dir(parser)


def add_reproduce_flags(parser: argparse.ArgumentParser) -> None:
    """Add what `reproduce` can be asked."""
    parser.add_argument("run_id", metavar="RUN_ID", help="Run this one again.")
    parser.add_argument(
        "--epochs",
        type=int,
        help="Run only its first epochs, so many (default: all, and the test).",
    )
    _add_runs_dir(parser)


def add_predict_flags(parser: argparse.ArgumentParser) -> None:
    """Add what `predict` can be asked."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="Look at this picture.")
    parser.add_argument(
        "--run",
        metavar="RUN_ID",
        help="Ask the net of this run of yours (default: the bundled one).",
    )
    _add_runs_dir(parser)


def add_explore_flags(parser: argparse.ArgumentParser) -> None:
    """Add what `explore` can be asked."""
    parser.add_argument(
        "--out",
        default="explorer.html",
        metavar="FILE",
        help="Write it here (default: explorer.html).",
    )


def add_publish_flags(parser: argparse.ArgumentParser) -> None:
    """Add what `publish` can be asked."""
    parser.add_argument("folder", help="Take the records below this folder.")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="Put them in the place of published ones of the same experiment.",
    )
    parser.add_argument(
        "--weights",
        action="store_true",
        help="Add their trained nets too, in float16.",
    )


# --- what several commands have -------------------------------------------------------------------


def _add_cell(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name one cell of the comparison."""
    parser.add_argument("--backbone", required=True, help=BACKBONE_HELP)
    parser.add_argument("--image-size", type=int, required=True, help=IMAGE_SIZE_HELP)
    parser.add_argument("--init", required=True, help=INIT_HELP)
    parser.add_argument("--budget", required=True, help=BUDGET_HELP)


def _add_cells(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name several cells."""
    parser.add_argument(
        "--backbone",
        nargs="+",
        default=list(BACKBONES),
        help=f"{BACKBONE_HELP} Several may be named (default: all of the series).",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        nargs="+",
        default=list(IMAGE_SIZES),
        help=f"{IMAGE_SIZE_HELP} Several may be named (default: 32 64 128).",
    )
    parser.add_argument(
        "--init",
        nargs="+",
        default=list(INITS),
        help=f"{INIT_HELP} Several may be named (default: both).",
    )
    parser.add_argument("--budget", required=True, help=BUDGET_HELP)


def _add_variations(parser: argparse.ArgumentParser) -> None:
    """Add the flags of an experiment that have a default."""
    parser.add_argument(
        "--seed",
        type=int,
        default=Experiment.seed,
        help="Draw weights and augmentation from this seed (default: 42).",
    )
    parser.add_argument(
        "--recipe",
        default=Experiment.recipe,
        help=f"Move the weights by this recipe: {', '.join(RECIPES)} (default: writeup).",
    )
    parser.add_argument(
        "--policy",
        default=Experiment.policy,
        help=f"Augment by this policy: {', '.join(POLICIES)} (default: writeup).",
    )
    parser.add_argument(
        "--stem",
        default=Experiment.stem,
        help=f"Begin the net with this stem: {', '.join(STEMS)} (default: imagenet).",
    )
    parser.add_argument(
        "--lr",
        type=float,
        default=None,
        help="Begin at this learning rate (default: the recipe's, else the budget's).",
    )


def _add_runs_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs-dir",
        help="Keep and find runs in this folder (default: CIFARLIB_RUNS, else runs/).",
    )
