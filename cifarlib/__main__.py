"""The command line: python -m cifarlib CMD …

The commands import what they need when they are called, so that help takes no seconds.
"""

import signal

# a Ctrl-C while the rest is imported ends the process as the system does, without a traceback
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import importlib
import io
import json
import os
import sys
from concurrent.futures import BrokenExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

from .config import (
    BACKBONES,
    BUDGETS,
    IMAGE_SIZES,
    INITS,
    POLICIES,
    RECIPES,
    STEMS,
    Experiment,
    grid,
)
from .utils.errors import lacks_memory
from .utils.signals import interrupt_waits

if TYPE_CHECKING:
    from .data.images import ImageSet
    from .runs.record import Run

BACKBONE_HELP = f"Train this net: {', '.join(BACKBONES)}, or any timm name."
IMAGE_SIZE_HELP = "Resize pictures to so many pixels a side."
INIT_HELP = f"Begin with random or with ImageNet weights: {', '.join(INITS)}."
BUDGET_HELP = f"Spend so many pictures and epochs: {', '.join(BUDGETS)}."

# what a user can mend: one line and exit code 2
USER_ERRORS = (ValueError, FloatingPointError, OSError, BrokenExecutor)
# what a record's command line leaves out: folders' names say who made it, the others nothing
NOT_RECORDED = ("command", "action", "needs", "run_id", "runs_dir")
BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


# --- the commands ---------------------------------------------------------------------------------


def data(asked: argparse.Namespace) -> int:
    """Show where the pictures come from, what they are, and their fingerprints; --verify: exit 1 if
    not CIFAR-100.
    """
    from .data.facts import SPLITS
    from .data.images import load_cifar100

    all_true = True
    for split in SPLITS:
        images = load_cifar100(split, asked.root, asked.source)
        _print_images(split, images)
        all_true = all_true and images.is_cifar100
    _print_superclasses(images)
    if not asked.verify:
        return 0
    if not all_true:
        print("this is not CIFAR-100")
        return 1
    print("verified: true CIFAR-100, every file and both fingerprints")
    return 0


def train(asked: argparse.Namespace) -> int:
    """Train one experiment, or show your own record of it."""
    from .runs.run import run

    experiment = Experiment(
        asked.backbone,
        asked.image_size,
        asked.init,
        asked.budget,
        seed=asked.seed,
        recipe=asked.recipe,
        policy=asked.policy,
        stem=asked.stem,
        lr=asked.lr,
    )
    finished = run(
        experiment,
        asked.retrain,
        runs_dir=asked.runs_dir,
        published=False,
        command=_in_words(asked),
    )
    print(_table([finished]))
    print(finished.path)
    return 0


def plan_cells(asked: argparse.Namespace) -> int:
    """Measure this machine and print the expected time and memory of each run of a grid."""
    from .data.nearest import count_own_pictures, data_in_words
    from .runs.benchmark import plan
    from .utils.progress import say

    experiments = _cells(asked)
    say(f"data: {data_in_words()}")
    print(plan(experiments, own_pictures=count_own_pictures()).to_string(index=False))
    return 0


def run_cells(asked: argparse.Namespace) -> int:
    """Run every experiment of a budget that is missing; exit code 1 if one could not be run."""
    from .data.images import load_cifar100
    from .data.nearest import data_in_words, is_at_hand
    from .runs.grid import check_processes, run_grid
    from .utils.progress import say

    experiments = _cells(asked)
    check_processes(asked.jobs, asked.backend)
    if is_at_hand():
        say(f"data: {data_in_words()}")
    else:  # downloaded once, before several processes want it
        say(f"data: {load_cifar100('train')!r}")
    finished, failed = run_grid(
        experiments,
        jobs=asked.jobs,
        runs_dir=asked.runs_dir,
        backend=asked.backend,
        command=_in_words(asked),
    )
    print(_table(finished))
    for run_id, why in failed.items():
        print(f"open: {run_id}: {why}")
    return int(bool(failed))


def benchmark(asked: argparse.Namespace) -> int:
    """Print images/s of the bare training step and of the whole loop, and their ratio."""
    from .runs.benchmark import images_per_second

    experiment = Experiment(asked.backbone, asked.image_size, "scratch", "smoke")
    speeds = images_per_second(experiment, steps=asked.steps, plain=asked.plain)
    print(f"bare step {speeds['bare']:.0f} images/s")
    print(f"whole loop {speeds['loop']:.0f} images/s")
    if asked.plain:
        print(f"plain float32 loop {speeds['plain']:.0f} images/s")
        print(f"whole loop ÷ plain float32 loop {speeds['speed_up']:.2f}")
    print(f"ratio {speeds['ratio']:.2f}")
    return 0


def results(asked: argparse.Namespace) -> int:
    """Print recorded runs, as a table or JSON, or re-check them; exit code 1 if a record fails its
    check.
    """
    from .report.tables import chosen_runs
    from .runs.store import check_named_folder, load_runs

    check_named_folder(asked.runs_dir)
    if asked.check:
        if asked.filter or asked.sort:
            raise ValueError("--check checks every record: leave out --filter and --sort")
        return _check_records(asked.runs_dir)
    runs = load_runs(runs_dir=asked.runs_dir, any_data=True)
    runs = chosen_runs(runs, wanted=asked.filter, sort=asked.sort)
    if not asked.json:
        print(_table(runs))
        return 0
    rows = []
    for run in runs:
        rows.append(
            {
                "experiment": asdict(run.experiment),
                "test": run.test,
                "provenance": run.provenance,
            }
        )
    print(json.dumps(rows, ensure_ascii=False))
    return 0


def reproduce_run(asked: argparse.Namespace) -> int:
    """Run a record's experiment again and say, measure by measure, whether the new run is equal,
    within the noise between seeds, or off; exit code 1 if one is off.
    """
    from .runs.reproduce import SEED_NOISE, TWO_RUNS, reproduce

    table, differences = reproduce(
        asked.run_id,
        epochs=asked.epochs,
        runs_dir=asked.runs_dir,
        command=_in_words(asked),
    )
    for name, (recorded, now) in differences.items():
        print(f"{name}: recorded {recorded}, now {now}")
    print(table.reset_index().to_string(index=False, float_format="{:.4g}".format))
    points = 100 * SEED_NOISE["accuracy"]
    print(
        f"seed noise: the standard deviation over three seeds, measured on ResNet18 at 32 px"
        f" ({points:.1f} points of test accuracy); two runs of other seeds differ by less than"
        f" {TWO_RUNS:.1f} times that, in every measure, in 98 of 100 cases"
    )
    is_off = bool((table.verdict == "off").any())
    print(f"{asked.run_id}: {'off' if is_off else 'reproduced'}")
    return int(is_off)


def predict_files(asked: argparse.Namespace) -> int:
    """Print the five likeliest classes of each picture, by the bundled net or that of a run."""
    from .report.own_picture import asked_run, read_and_predict

    run = asked_run(asked.run, runs_dir=asked.runs_dir)
    # every file is read before the first answer: a bad one is told at once
    answers = read_and_predict(run, asked.files)
    for file, (classes, probabilities) in zip(asked.files, answers, strict=True):
        print(file)
        for name, probability in zip(classes, probabilities, strict=True):
            print(f"  {probability:6.1%}  {name.replace('_', ' ')}")
    return 0


def explore(asked: argparse.Namespace) -> int:
    """Write one HTML page to explore the results in: curves, accuracies, and the pictures that nets
    take for others.
    """
    from .report.explorer import write_explorer

    path = write_explorer(asked.out)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser")
    return 0


def publish_runs(asked: argparse.Namespace) -> int:
    """Check the records in a folder and add them to the package."""
    from .runs.store import publish

    for path in publish(asked.folder, replace=asked.replace, weights=asked.weights):
        print(path.name)
    return 0


# --- what they print ------------------------------------------------------------------------------


def _print_images(split: str, images: "ImageSet") -> None:
    import numpy as np

    counts = np.bincount(images.labels, minlength=len(images.classes))
    mean, std = images.channel_statistics()
    print(f"{split}: {images!r}")
    print(f"  {counts.min()} to {counts.max()} pictures a class")
    print(f"  mean {_four_decimals(mean)}, std {_four_decimals(std)}")
    print(f"  fingerprint {images.fingerprint}")


def _four_decimals(values) -> str:
    return " ".join(f"{value:.4f}" for value in values)


def _print_superclasses(images: "ImageSet") -> None:
    for number, name in enumerate(images.superclasses or ()):
        labels = set(images.labels[images.coarse_labels == number])
        members = sorted(images.classes[label] for label in labels)
        print(f"  {name}: {', '.join(members)}")


def _check_records(runs_dir: str | None) -> int:
    from .runs.check import check_record
    from .runs.store import record_paths, superseded_paths

    paths = record_paths(runs_dir)
    for run_id, path in superseded_paths().items():
        paths[f"superseded {run_id}"] = path
    if not paths:
        print("no runs")
    all_good = True
    for run_id, path in paths.items():
        problems = check_record(path)
        all_good = all_good and not problems
        print(f"{run_id}: {'; '.join(problems) or 'good'}")
    return int(not all_good)


def _table(runs: list["Run"]) -> str:
    from .report.tables import runs_table

    if not runs:
        return "no runs"
    return runs_table(runs).to_string(index=False, float_format="{:.2%}".format)


# --- what can be asked ----------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {message}; see --help\n")


def _cells(asked: argparse.Namespace) -> list[Experiment]:
    """Return the experiments of a grid; an axis that was not named is the comparison's."""
    return grid(
        asked.budget,
        backbones=asked.backbone,
        image_sizes=asked.image_size,
        inits=asked.init,
        seed=asked.seed,
        recipe=asked.recipe,
        policy=asked.policy,
        stem=asked.stem,
        lr=asked.lr,
    )


def _in_words(asked: argparse.Namespace) -> str:
    """Return the command line for a record: every flag, those at their default too, but folders."""
    words = ["cifarlib", asked.command]
    if "run_id" in asked:
        words.append(asked.run_id)
    for name, value in vars(asked).items():
        if name in NOT_RECORDED or value is None or value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if isinstance(value, list):
            words += map(str, value)
        elif value is not True:
            words.append(str(value))
    return " ".join(words)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m cifarlib", description="Which backbone learns CIFAR-100 best?")
    commands = parser.add_subparsers(required=True, metavar="CMD")

    data_parser = _add_command(commands, "data", data, needs=".data.images")
    data_parser.add_argument(
        "--root",
        help="Look in this folder (default: CIFARLIB_DATA, else data/).",
    )
    data_parser.add_argument(
        "--source",
        default="auto",
        help="Take only this source: official, folder, hub or stand-in (default: the nearest).",
    )
    data_parser.add_argument(
        "--verify",
        action="store_true",
        help="Exit with 1 unless both splits are true CIFAR-100.",
    )

    train_parser = _add_command(commands, "train", train, needs=".runs.run")
    _add_cell(train_parser)
    _add_variations(train_parser)
    train_parser.add_argument(
        "--retrain",
        action="store_true",
        help="Train even where you have a record.",
    )
    _add_runs_dir(train_parser)

    plan_parser = _add_command(commands, "plan", plan_cells, needs=".runs.benchmark")
    _add_cells(plan_parser)
    _add_variations(plan_parser)

    grid_parser = _add_command(commands, "grid", run_cells, needs=".runs.grid")
    _add_cells(grid_parser)
    _add_variations(grid_parser)
    grid_parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="Run so many processes side by side (default: 1).",
    )
    grid_parser.add_argument(
        "--backend",
        default="loky",
        help="Start them by joblib's loky (default), or by dask on a cluster of its own, or yours.",
    )
    _add_runs_dir(grid_parser)

    benchmark_parser = _add_command(commands, "benchmark", benchmark, needs=".runs.benchmark")
    benchmark_parser.add_argument("--backbone", required=True, help=BACKBONE_HELP)
    benchmark_parser.add_argument("--image-size", type=int, required=True, help=IMAGE_SIZE_HELP)
    benchmark_parser.add_argument(
        "--steps",
        type=int,
        default=20,
        help="Measure so many batches of 64 a window, in five windows (default: 20).",
    )
    benchmark_parser.add_argument(
        "--plain",
        action="store_true",
        help="Measure the loop in plain float32 too.",
    )

    results_parser = _add_command(commands, "results", results, needs=".runs.store")
    results_parser.add_argument(
        "--json",
        action="store_true",
        help="Print a list of {experiment, test, provenance}.",
    )
    results_parser.add_argument(
        "--check",
        action="store_true",
        help="Check each record against its predictions.",
    )
    results_parser.add_argument(
        "--filter",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="Show only runs of which this holds, such as backbone=ResNet18 engine=eager.",
    )
    results_parser.add_argument(
        "--sort",
        metavar="NAME",
        help="Sort by this column or field: numbers from the largest, words by the letter.",
    )
    _add_runs_dir(results_parser)

    reproduce_parser = _add_command(commands, "reproduce", reproduce_run, needs=".runs.reproduce")
    reproduce_parser.add_argument("run_id", metavar="RUN_ID", help="Run this one again.")
    reproduce_parser.add_argument(
        "--epochs",
        type=int,
        help="Run only its first epochs, so many (default: all, and the test).",
    )
    _add_runs_dir(reproduce_parser)

    predict_parser = _add_command(commands, "predict", predict_files, needs=".report.own_picture")
    predict_parser.add_argument("files", nargs="+", metavar="FILE", help="Look at this picture.")
    predict_parser.add_argument(
        "--run",
        metavar="RUN_ID",
        help="Ask the net of this run of yours (default: the bundled one).",
    )
    _add_runs_dir(predict_parser)

    explore_parser = _add_command(commands, "explore", explore, needs=".report.explorer")
    explore_parser.add_argument(
        "--out",
        default="explorer.html",
        metavar="FILE",
        help="Write it here (default: explorer.html).",
    )

    publish_parser = _add_command(commands, "publish", publish_runs, needs=".runs.store")
    publish_parser.add_argument("folder", help="Take the records below this folder.")
    publish_parser.add_argument(
        "--replace",
        action="store_true",
        help="Put them in the place of published ones of the same experiment.",
    )
    publish_parser.add_argument(
        "--weights",
        action="store_true",
        help="Put their trained nets along too, in float16.",
    )
    return parser


def _add_command(commands, name: str, action, *, needs: str) -> argparse.ArgumentParser:
    """Add a command; needs: the module whose import takes its seconds."""
    parser = commands.add_parser(name, help=action.__doc__, description=action.__doc__)
    parser.set_defaults(command=name, action=action, needs=needs)
    return parser


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


def main() -> int:
    """Run one command; bad input gives one line and exit code 2."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        # × and ÷ become question marks where the terminal's encoding lacks them
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        asked = _parser().parse_args()
        # some libraries make another error of a Ctrl-C that comes while they are imported
        with interrupt_waits():
            importlib.import_module(asked.needs, package="cifarlib")
        code = asked.action(asked)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read the output has seen enough: … | head -1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except USER_ERRORS as error:
        return _complain(error)
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        return _complain(error)
    except KeyboardInterrupt as stop:
        advice = "stopped; the same command goes on from the last finished epoch"
        print(str(stop) or advice, file=sys.stderr)
        return INTERRUPTED


def _complain(error: Exception) -> int:
    """Print an error in one line and return the exit code for bad input."""
    said = " ".join(str(error).split())
    print(f"error: {said or type(error).__name__}", file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
