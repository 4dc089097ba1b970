"""A run is trained once, recorded whole, found again, and survives being killed."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from cifarlib import (
    BUDGETS,
    Experiment,
    collect_runs,
    comparison,
    grid,
    load_cifar100,
    load_runs,
    records,
    run,
    running,
    summary,
)
from cifarlib.gridrun import run_grid
from cifarlib.records import check_record, publish, read_record
from cifarlib.results import fair_runs

SMOKE = Experiment("mobilenetv3_small_050", 32, "scratch", "smoke")


@pytest.fixture(scope="module")
def finished(train, test, tmp_path_factory):
    """A finished smoke run on the stand-in."""
    return run(SMOKE, runs_dir=tmp_path_factory.mktemp("runs"), data=(train, test), progress=False)


@pytest.fixture
def own(monkeypatch, tmp_path) -> Path:
    """An empty folder of one's own runs and an empty one of published records."""
    (tmp_path / "published").mkdir()
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "published")
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path / "own"))
    return tmp_path / "own"


def as_true(path: Path) -> None:
    """Rewrite a record as one made on CIFAR-100, digest and all."""
    record = json.loads(path.read_text(encoding="utf-8"))
    record["provenance"]["data"]["cifar100"] = True
    del record["digest"]
    path.write_text(json.dumps({**record, "digest": records._digest(record)}), encoding="utf-8")


def copy_as_true(finished, folder: Path) -> Path:
    """Copy a run's files to folder/<experiment id> as if they had been made on CIFAR-100."""
    target = folder / finished.experiment.id
    target.mkdir(parents=True)
    for path in finished.path.parent.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    as_true(target / "record.json")
    return target / "record.json"


def test_a_record_says_how_it_was_made(finished, train, test):
    record = json.loads(finished.path.read_text(encoding="utf-8"))
    assert record["experiment"]["backbone"] == "mobilenetv3_small_050"
    assert list(finished.history.epoch) == [1, 2]
    made = finished.provenance
    assert made["data"]["name"] == "not CIFAR-100: stand-in"
    assert made["data"]["counts"] == {"train": 400, "valid": 200, "test": 200}
    assert all(len(value) == 64 for value in made["data"]["fingerprints"].values())
    assert made["weights"] is None
    assert made["precision"] in ("float32", "bfloat16", "float16")
    assert {"python", "cifarlib", "torch", "timm", "albumentations"} <= set(made["versions"])
    assert made["seconds"] > 0
    assert len(finished.test["random_tta_accuracies"]) == 10
    assert check_record(finished.path) == []
    assert finished.path.parent.name == running.run_identity(SMOKE, train, test)
    assert finished.path.parent.name.startswith(f"{SMOKE.id}@")  # other pictures, another run
    assert not (finished.path.parent / "checkpoint.pt").exists()
    assert finished.path.stat().st_size < 30_000


def test_the_recorded_model_gives_the_recorded_predictions(finished, test):
    model = finished.load_model()
    assert finished.predictions()["classes"].shape == (200, 5)
    assert not model.training
    assert np.array_equal(finished.predictions()["labels"], test.labels[:200])


def test_the_same_run_comes_back_from_its_record(finished, train, test, monkeypatch):
    monkeypatch.setattr(running, "_train", lambda *a, **k: pytest.fail("it was trained again"))
    again = run(SMOKE, runs_dir=finished.path.parent.parent, data=(train, test))
    assert again.history.equals(finished.history)
    assert again.test == finished.test


def test_seed_and_workers_fix_every_number(finished, train, test, tmp_path):
    again = run(SMOKE, runs_dir=tmp_path, data=(train, test), num_workers=0, progress=False)
    columns = [column for column in finished.history if column != "seconds"]
    assert again.history[columns].equals(finished.history[columns])
    assert again.test == finished.test
    other = run(Experiment(**{**vars(SMOKE), "seed": 1}), runs_dir=tmp_path, data=(train, test), progress=False)
    assert not other.history[columns].equals(finished.history[columns])


def test_ones_own_pictures_go_from_folder_to_test_score(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    finished = run(SMOKE, runs_dir=tmp_path / "runs", progress=False)
    assert finished.provenance["data"]["name"] == "not CIFAR-100: folder"
    assert finished.provenance["data"]["counts"] == {"train": 96, "valid": 24, "test": 24}
    assert finished.predictions()["classes"].shape == (24, 3)
    assert finished.test["top5"] == 1.0
    assert check_record(finished.path) == []
    assert finished.id in [one.id for one in load_runs(runs_dir=tmp_path / "runs", any_data=True)]
    assert finished.id not in [one.id for one in load_runs(runs_dir=tmp_path / "runs")]
    assert finished.load_model()(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


def test_an_edited_record_is_caught(finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    assert check_record(path) == []
    text = path.read_text(encoding="utf-8")
    record = json.loads(text)
    for edit in (
        lambda r: r["history"]["valid_accuracy"].__setitem__(1, 0.9),
        lambda r: r["test"].__setitem__("accuracy", 0.99),
        lambda r: r["experiment"].__setitem__("seed", 7),
        lambda r: r["provenance"].__setitem__("device", "a better one"),
    ):
        changed = json.loads(text)
        edit(changed)
        path.write_text(json.dumps(changed), encoding="utf-8")
        assert "its digest does not fit its content: it was edited" in check_record(path)
    record["history"] = {name: values[:1] for name, values in record["history"].items()}
    del record["digest"]
    path.write_text(json.dumps({**record, "digest": records._digest(record)}), encoding="utf-8")
    assert check_record(path) == ["its history is not 2 epochs"]
    path.write_text(text[:100], encoding="utf-8")
    assert "cannot read record" in check_record(path)[0]


def test_predictions_of_another_run_are_caught(finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    found = finished.predictions()
    found["classes"][:, 0] = found["labels"]
    np.savez_compressed(path.with_name("predictions.npz"), **found)
    wrong = check_record(path)
    assert "its predictions are not those it was written with" in wrong
    assert "its accuracy is not that of its predictions" in wrong


def test_damaged_predictions_are_said_so(finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    predictions = path.with_name("predictions.npz")
    whole = predictions.read_bytes()
    for place in range(0, len(whole), len(whole) // 40):  # bytes that matter to zip, to zlib, or to numpy
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        predictions.write_bytes(damaged)
        assert check_record(path), place
    predictions.write_bytes(b"")
    assert check_record(path)


def test_a_part_of_cifar100_or_another_test_is_another_run(train, test, tmp_path):
    part = replace(train, is_cifar100=True)[1:]
    finished = run(SMOKE, runs_dir=tmp_path, data=(part, test), progress=False)
    assert finished.provenance["data"]["cifar100"] is False
    assert "@" in finished.path.parent.name
    ids = {running.run_identity(SMOKE, *parts) for parts in ((train, test), (part, test), (train, test[:-1]))}
    assert len(ids) == 3
    assert SMOKE.id not in ids


def test_ones_own_pictures_do_not_get_a_published_record(finished, own, mine, train, test, monkeypatch):
    copy_as_true(finished, own)
    publish(own)
    monkeypatch.setenv("CIFARLIB_RUNS", str(own / "none"))
    assert run(SMOKE).published
    mine_too = run(SMOKE, data=(train, test), progress=False)
    assert not mine_too.published
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    assert run(SMOKE, progress=False).provenance["data"]["name"] == "not CIFAR-100: folder"


def test_publishing_checks_first_and_published_runs_are_found(finished, own):
    with pytest.raises(ValueError, match="it was not trained on CIFAR-100"):
        publish(finished.path.parent)
    copy_as_true(finished, own)
    (path,) = publish(own)
    assert path.name == f"{SMOKE.id}.json"
    assert load_runs()[0].path.parent.name == SMOKE.id  # one's own comes first
    for file in (own / SMOKE.id).iterdir():
        file.unlink()
    assert load_runs(budget="smoke")[0].published
    assert load_runs(budget="quick") == []
    assert run(SMOKE).path == path  # at once, whatever data are loaded
    with pytest.raises(ValueError, match="has no weights here"):
        run(SMOKE).load_model()


def test_published_records_can_be_hidden(finished, own, monkeypatch):
    copy_as_true(finished, own)
    publish(own)
    monkeypatch.setenv("CIFARLIB_RUNS", str(own / "none"))
    assert len(load_runs()) == 1
    monkeypatch.setenv("CIFARLIB_RECORDS", "none")
    assert load_runs() == []


def test_collect_runs_takes_the_largest_budget_and_leaves_open_what_lacks_weights(own, monkeypatch):
    monkeypatch.setattr("cifarlib.weights.silent", lambda url: "no answer within 3 s")
    monkeypatch.delenv("CIFARLIB_WEIGHTS", raising=False)
    runs = collect_runs(["SE-ResNeXt50"], 32, "imagenet")
    assert runs == {"SE-ResNeXt50": None}
    assert list(summary(runs).budget) == ["open"]
    assert set(comparison()["scratch", "ours"]) == {"open"}


def test_figures_take_the_budget_that_most_backbones_have(monkeypatch):
    held = {("A", "writeup"), ("A", "quick"), ("B", "quick"), ("C", "smoke")}

    def recorded(backbone, image_size, init, *, budgets):
        return next((f"{backbone} {budget}" for budget in budgets if (backbone, budget) in held), None)

    monkeypatch.setattr("cifarlib.results.largest_run", recorded)
    assert fair_runs("ABC", 32, "scratch") == {"A": "A quick", "B": "B quick", "C": "C smoke"}
    held.add(("B", "writeup"))  # of equally many the larger
    assert fair_runs("ABC", 32, "scratch") == {"A": "A writeup", "B": "B writeup", "C": "C smoke"}
    held.add(("D", "quick"))
    assert fair_runs("ABD", 32, "scratch") == {"A": "A quick", "B": "B quick", "D": "D quick"}
    assert fair_runs("AC", 32, "scratch") == {"A": "A writeup", "C": "C smoke"}  # nothing to share
    assert fair_runs("A", 32, "scratch") == {"A": "A writeup"}


def test_what_ships_is_true():
    runs = load_runs()
    assert runs
    for one in runs:
        assert check_record(one.path) == [], one.experiment.id
        assert one.provenance["data"]["name"] == "CIFAR-100"
        assert one.path.stat().st_size < 30_000
        assert one.predictions_path.stat().st_size < 150_000


def test_bad_experiments_are_refused_in_words():
    for change, words in {
        ("image_size", 0): "got image_size 0, expected a whole number, 1 or more",
        ("seed", -1): "got seed -1",
        ("init", "imagnet"): "did you mean 'imagenet'",
        ("budget", "smok"): "did you mean 'smoke'",
        ("recipe", "one-cycle"): "did you mean 'onecycle'",
        ("policy", "x"): "unknown policy 'x'",
    }.items():
        with pytest.raises(ValueError, match=words):
            Experiment(**{**vars(SMOKE), change[0]: change[1]})


def test_ids_leave_out_what_is_at_its_default():
    assert SMOKE.id == "mobilenetv3_small_050-32px-scratch-smoke"
    other = Experiment("ResNet18", 64, "imagenet", "quick", seed=1, stem="cifar")
    assert other.id == "ResNet18-64px-imagenet-quick-seed_1-stem_cifar"
    assert len({cell.id for cell in grid("writeup")}) == 30
    assert (other.epochs, other.lr) == (5, BUDGETS["quick"].lr["imagenet"])


def test_a_grid_goes_on_after_a_failure_and_processes_change_nothing(own, mine, monkeypatch, tmp_path):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    cells = grid("smoke", backbones=["mobilenetv3_small_050", "vgg11"], image_sizes=[16], inits=["scratch"])
    records_by = {}
    for jobs in (1, 2):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as each of two processes has
        done, failed = run_grid(cells, jobs=jobs, runs_dir=tmp_path / f"jobs{jobs}")
        torch.set_num_threads(threads)
        assert list(failed) == ["vgg11-16px-scratch-smoke"]
        assert "cannot take 16 px pictures" in failed["vgg11-16px-scratch-smoke"]
        records_by[jobs] = (done[0].test, done[0].history.drop(columns="seconds").to_dict())
    assert records_by[1] == records_by[2]


def test_a_run_being_trained_elsewhere_is_said_so(train, test, tmp_path):
    folder = tmp_path / running.run_identity(SMOKE, train, test)
    folder.mkdir()
    script = f"""
from filelock import FileLock
with FileLock({str(folder / "lock")!r}):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="another process is training"):
            run(SMOKE, runs_dir=tmp_path, data=(train, test))
        other.kill()
    with FileLock(folder / "lock", timeout=5):  # a dead process's lock is free
        pass


def assert_same_records(one: Path, other: Path) -> None:
    """Compare all records in two folders, number for number, without their times."""
    pairs = list(zip(sorted(one.glob("*/record.json")), sorted(other.glob("*/record.json")), strict=True))
    assert pairs
    for whole, stopped in ((read_record(a), read_record(b)) for a, b in pairs):
        assert stopped.history.drop(columns="seconds").equals(whole.history.drop(columns="seconds"))
        assert stopped.test == whole.test
        assert all(np.array_equal(stopped.predictions()[k], v) for k, v in whole.predictions().items())


def test_dask_workers_give_the_same_records(mine, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="an optional extra: pip install 'cifarlib[dask]'")
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    monkeypatch.setenv("CIFARLIB_RECORDS", "none")
    cells = grid("smoke", backbones=["mobilenetv3_small_050", "vgg11"], image_sizes=[16], inits=["scratch"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as each of two workers has
    run_grid(cells, runs_dir=tmp_path / "alone")
    torch.set_num_threads(threads)
    done, failed = run_grid(cells, jobs=2, runs_dir=tmp_path / "dask", backend="dask")
    assert len(done) == 1
    assert list(failed) == ["vgg11-16px-scratch-smoke"]
    assert_same_records(tmp_path / "alone", tmp_path / "dask")
    with pytest.raises(ValueError, match="client"):
        distributed.get_client()  # the local cluster was closed


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match="unknown backend 'desk': did you mean 'dask'"):
        run_grid([], backend="desk")


def test_a_dask_address_is_asked_for_its_cluster(monkeypatch):
    dask = pytest.importorskip("dask", reason="an optional extra: pip install 'cifarlib[dask]'")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:9")
    settings = {"scheduler-address": "tcp://127.0.0.1:9", "distributed.comm.timeouts.connect": "1s"}
    with dask.config.set(settings), pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
        run_grid([SMOKE], backend="dask")


def test_a_folder_left_by_a_kill_changes_no_number(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    tuned = Experiment("EfficientNet_lite0", 32, "imagenet", "smoke")
    left = tmp_path / "left" / running.run_identity(tuned, load_cifar100("train"), load_cifar100("test"))
    left.mkdir(parents=True)
    (left / ".checkpoint.pt.1.tmp").touch()
    for folder in ("clean", "left"):
        run(tuned, runs_dir=tmp_path / folder, num_workers=0, published=False, progress=False)
    assert not list(left.glob(".*.tmp"))
    assert_same_records(tmp_path / "clean", tmp_path / "left")
