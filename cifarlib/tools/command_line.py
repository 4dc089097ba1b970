"""The command line: python -m cifarlib CMD …

The commands import what they need when they are called, so that help takes no seconds.
"""

import argparse
import importlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ..config import Experiment, grid
from ..utils.errors import lacks_memory
from ..utils.signals import interrupt_waits
from . import arguments

if TYPE_CHECKING:
    from ..data.cifar100 import ImageSet
    from ..experiments.record import Run

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
    from ..data.cifar100 import load_cifar100
    from ..data.facts import FINGERPRINTS, SPLITS

    all_true = True
    for split in SPLITS:
        images = load_cifar100(split, asked.root, asked.source)
        _print_images(split, images)
        all_true = all_true and images.fingerprint == FINGERPRINTS[split]
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
    from ..experiments.run import run

    experiment = Experiment(
        asked.backbone,
        asked.image_size,
        asked.init,
        asked.budget,
        **_variations(asked),
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
    from ..data.locate import count_own_pictures, data_in_words
    from ..utils.progress import say
    from .benchmark import plan

    experiments = _cells(asked)
    say(f"data: {data_in_words()}")
    print(plan(experiments, own_pictures=count_own_pictures()).to_string(index=False))
    return 0


def run_cells(asked: argparse.Namespace) -> int:
    """Run every experiment of a budget that is missing; exit code 1 if one could not be run."""
    from ..data.cifar100 import load_cifar100
    from ..data.locate import data_in_words, is_at_hand
    from ..utils.progress import say
    from .grid import check_processes, run_grid

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
    from .benchmark import images_per_second

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
    from ..experiments.store import check_named_folder, load_runs
    from .results import chosen_runs

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
    within the noise, or off; exit code 1 if one is off.
    """
    from .reproduce import SEED_NOISE, TWO_RUNS, reproduce

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
        "noise: the standard deviation to be expected, of seeds, measured on ResNet18 at 32 px"
        f" ({points:.1f} points of test accuracy), and, on fewer images than CIFAR-100's, of"
        f" sampling; two runs differ by less than {TWO_RUNS:.1f} times that, in every measure, in"
        " 98 of 100 cases"
    )
    is_off = bool((table.verdict == "off").any())
    print(f"{asked.run_id}: {'off' if is_off else 'reproduced'}")
    return int(is_off)


def predict_files(asked: argparse.Namespace) -> int:
    """Print the five likeliest classes of each picture, by the bundled net or that of a run."""
    from ..experiments.trained import asked_run, files_named, read_and_predict

    run = asked_run(asked.run, runs_dir=asked.runs_dir)
    files = files_named(asked.files)
    # every file is read before the first answer: a bad one is told at once
    answers = read_and_predict(run, files)
    for file, (classes, probabilities) in zip(files, answers, strict=True):
        print(file)
        for name, probability in zip(classes, probabilities, strict=True):
            print(f"  {probability:6.1%}  {name.replace('_', ' ')}")
    return 0


def explore(asked: argparse.Namespace) -> int:
    """Write one HTML page to explore the results in: curves, accuracies, and the pictures that nets
    take for others.
    """
    from .explorer.write import write_explorer

    path = write_explorer(asked.out)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser")
    return 0


def publish_runs(asked: argparse.Namespace) -> int:
    """Check the records in a folder and add them to the package."""
    from .publish import publish

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
    from ..experiments.store import record_paths, superseded_paths
    from .check import check_record

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
    from .results import runs_table

    if not runs:
        return "no runs"
    return runs_table(runs).to_string(index=False, float_format="{:.2%}".format)


# --- from the command line to a command -----------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {message}; see --help\n")


def _variations(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of an experiment that have a default, as they were asked for."""
    return {name: getattr(asked, name) for name in ("seed", "recipe", "policy", "stem", "lr")}


def _cells(asked: argparse.Namespace) -> list[Experiment]:
    """Return the experiments of a grid; an axis that was not named is the comparison's."""
    return grid(
        asked.budget,
        backbones=asked.backbone,
        image_sizes=asked.image_size,
        inits=asked.init,
        **_variations(asked),
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


class Command(NamedTuple):
    """What a command does, what it can be asked, and what it needs."""

    action: Callable[[argparse.Namespace], int]
    add_flags: Callable[[argparse.ArgumentParser], None]
    needs: str  # the module whose import takes its seconds


COMMANDS = {
    "data": Command(data, arguments.add_data_flags, needs=".data.cifar100"),
    "train": Command(train, arguments.add_train_flags, needs=".experiments.run"),
    "plan": Command(plan_cells, arguments.add_plan_flags, needs=".tools.benchmark"),
    "grid": Command(run_cells, arguments.add_grid_flags, needs=".tools.grid"),
    "benchmark": Command(benchmark, arguments.add_benchmark_flags, needs=".tools.benchmark"),
    "results": Command(results, arguments.add_results_flags, needs=".experiments.store"),
    "reproduce": Command(reproduce_run, arguments.add_reproduce_flags, needs=".tools.reproduce"),
    "predict": Command(predict_files, arguments.add_predict_flags, needs=".experiments.trained"),
    "explore": Command(explore, arguments.add_explore_flags, needs=".tools.explorer.write"),
    "publish": Command(publish_runs, arguments.add_publish_flags, needs=".experiments.store"),
}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m cifarlib", description="Which backbone learns CIFAR-100 best?")
    commands = parser.add_subparsers(required=True, metavar="CMD")
    for name, command in COMMANDS.items():
        does = command.action.__doc__
        of_command = commands.add_parser(name, help=does, description=does)
        of_command.set_defaults(command=name, action=command.action, needs=command.needs)
        command.add_flags(of_command)
    return parser


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
