"""The command line: python -m cifarlib CMD …"""

import argparse
import json
import sys
from concurrent.futures import BrokenExecutor
from dataclasses import MISSING, asdict, fields

import numpy as np
import pandas as pd
import torch

from .benchmark import images_per_second, plan
from .data import SPLITS, load_cifar100
from .experiments import BUDGETS, INITS, Experiment, grid
from .gridrun import run_grid
from .models import BACKBONES
from .records import Run, check_record, load_runs, publish, record_paths
from .running import run


def data(asked: argparse.Namespace) -> int:
    """Show where the pictures come from, what they are, and their fingerprints; --verify: exit 1 if not CIFAR-100."""
    wrong = False
    for split in SPLITS:
        images = load_cifar100(split, asked.root, asked.source)
        counts = np.bincount(images.labels, minlength=len(images.classes))
        mean, std = (" ".join(f"{value:.4f}" for value in values) for values in images.channel_statistics())
        print(f"{split}: {images!r}\n  {counts.min()} to {counts.max()} pictures a class\n  mean {mean}, std {std}")
        print(f"  fingerprint {images.fingerprint}")
        wrong |= asked.verify and not images.is_cifar100
    for number, name in enumerate(images.superclasses or ()):
        members = sorted({images.classes[label] for label in images.labels[images.coarse_labels == number]})
        print(f"  {name}: {', '.join(members)}")
    if asked.verify:
        print("verified: true CIFAR-100, every file and both fingerprints" if not wrong else "this is not CIFAR-100")
    return int(wrong)


def train(asked: argparse.Namespace) -> None:
    """Train one experiment, or show your own record of it."""
    experiment = Experiment(**{field.name: getattr(asked, field.name) for field in fields(Experiment)})
    finished = run(experiment, asked.retrain, runs_dir=asked.runs_dir, published=False)
    print(f"{_table([finished])}\n{finished.path}")


def run_cells(asked: argparse.Namespace) -> int:
    """Run every experiment of a budget that is missing; exit code 1 if one could not be run."""
    finished, failed = run_grid(_cells(asked), jobs=asked.jobs, runs_dir=asked.runs_dir, backend=asked.backend)
    print("\n".join([_table(finished), *(f"open: {name}: {why}" for name, why in failed.items())]))
    return 1 if failed else 0


def plan_cells(asked: argparse.Namespace) -> None:
    """Measure this machine and print the expected time and memory of each run of a grid."""
    print(plan(_cells(asked)).to_string(index=False))


def benchmark(asked: argparse.Namespace) -> None:
    """Print images/s of the bare training step and of the whole loop, and their ratio."""
    experiment = Experiment(asked.backbone, asked.image_size, "scratch", "smoke")
    speeds = images_per_second(experiment, steps=asked.steps, plain=asked.plain)
    names = {"bare": "bare step", "loop": "whole loop", "plain": "plain float32 loop"}
    print(*(f"{name} {speeds[key]:.0f} images/s" for key, name in names.items() if key in speeds), sep="\n")
    if asked.plain:
        print(f"whole loop ÷ plain float32 loop {speeds['speed_up']:.2f}")
    print(f"ratio {speeds['ratio']:.2f}")


def results(asked: argparse.Namespace) -> int | None:
    """Print recorded runs, as a table or JSON, or re-check them; exit code 1 if a record fails its check."""
    if asked.check:
        wrong = {name: check_record(path) for name, path in record_paths(asked.runs_dir).items()}
        print("\n".join(f"{name}: {'; '.join(lines) or 'good'}" for name, lines in wrong.items()) or "no runs")
        return int(any(wrong.values()))
    runs = load_runs(runs_dir=asked.runs_dir, any_data=True)
    shown = [{"experiment": asdict(run.experiment), "test": run.test, "provenance": run.provenance} for run in runs]
    print(json.dumps(shown, ensure_ascii=False) if asked.json else _table(runs))


def publish_runs(asked: argparse.Namespace) -> None:
    """Check the records in a folder and add them to the package."""
    print("\n".join(path.name for path in publish(asked.folder)))


def _cells(asked: argparse.Namespace) -> list[Experiment]:
    axes = {"backbones": asked.backbone, "image_sizes": asked.image_size, "inits": asked.init}
    others = {field.name: getattr(asked, field.name) for field in fields(Experiment)[4:]}
    return grid(asked.budget, **{name: values for name, values in axes.items() if values}, **others)


def _table(runs: list[Run]) -> str:
    rows = [
        {"run": run.id, "epochs": len(run.history), "valid": run.history.valid_accuracy.max()}
        | {name: run.test[name] for name in ("accuracy", "top5", "tta_accuracy")}
        | {"data": run.provenance["data"]["name"]}
        for run in runs
    ]
    return pd.DataFrame(rows).to_string(index=False, float_format="{:.2%}".format) if rows else "no runs"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"error: {message}; see --help\n")


def _ask_for_experiment(parser: argparse.ArgumentParser, many: bool) -> None:
    names = {"backbone": [*BACKBONES, "any timm name"], "init": INITS, "budget": BUDGETS}
    for field in fields(Experiment):
        several = many and field.name in ("backbone", "image_size", "init")
        flag, needed = f"--{field.name.replace('_', '-')}", field.default is MISSING
        options = {"type": field.type, "nargs": "+" if several else None, "help": ", ".join(names.get(field.name, ()))}
        parser.add_argument(flag, required=needed and not several, default=None if needed else field.default, **options)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m cifarlib", description="Which backbone learns CIFAR-100 best?")
    commands = parser.add_subparsers(required=True, metavar="CMD")

    def command(name: str, action, *, many: bool | None = None) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=action.__doc__, description=action.__doc__)
        made.set_defaults(action=action)
        if many is not None:
            _ask_for_experiment(made, many)
        return made

    made = command("data", data)
    made.add_argument("--root", help="folder with the data (default: CIFARLIB_DATA, else data/)")
    made.add_argument("--source", default="auto")
    made.add_argument("--verify", action="store_true", help="exit with 1 unless both splits are true CIFAR-100")
    made = command("train", train, many=False)
    made.add_argument("--retrain", action="store_true", help="train even where you have a record")
    command("plan", plan_cells, many=True)
    made = command("grid", run_cells, many=True)
    made.add_argument("--jobs", type=int, default=1, help="processes side by side")
    made.add_argument("--backend", default="loky", help="joblib's: loky, or dask (a cluster of its own, or yours)")
    made = command("benchmark", benchmark)
    made.add_argument("--backbone", required=True)
    made.add_argument("--image-size", type=int, required=True)
    made.add_argument("--steps", type=int, default=20, help="batches of 64 a window; five windows are measured")
    made.add_argument("--plain", action="store_true", help="measure the loop in plain float32 too")
    made = command("results", results)
    made.add_argument("--json", action="store_true")
    made.add_argument("--check", action="store_true", help="check each record against its predictions")
    for name in ("train", "grid", "results"):
        commands.choices[name].add_argument("--runs-dir", help="default: CIFARLIB_RUNS, else runs/ in the repository")
    command("publish", publish_runs).add_argument("folder")
    return parser


def main() -> int:
    """Run one command; bad input gives one line and exit code 2."""
    asked = _parser().parse_args()
    try:
        return asked.action(asked) or 0
    except (ValueError, FloatingPointError, OSError, BrokenExecutor, torch.OutOfMemoryError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
