"""The notebooks' set-up cell finds the project, the nearest first, and fetches it from no stranger.

It runs in a bare environment, without cifarlib and its libraries, where pip is a stand-in.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import venv
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

import packaging
import pytest
from prose import NOTEBOOKS, ROOT, cells
from quiet_server import QuietServer

SOURCE = cells(NOTEBOOKS[0])[0]["source"]
KAGGLE = "/kaggle/input"
PORT = ":9000/"
FORK = "https://github.com/someone/a-fork.of_it"
PARAGRAPH = "set CIFARLIB_CLONE_URL, and run this again"
TELL = "import cifarlib; print(cifarlib.__file__)"
PIP = '''
"""A stand-in for pip: notes what it is asked, and installs names and versions without files."""
import json
import os
import shutil
import sys
from pathlib import Path

place = sys.argv.index("--constraint")
constraints, *wanted = sys.argv[place + 1:]
asked = {"constraints": Path(constraints).read_text().split(), "wanted": wanted}
(Path(os.environ["FAKE_PIP"]) / "asked.json").write_text(json.dumps(asked))
if "FAKE_PIP_FAILS" in os.environ:
    sys.exit("ERROR: no network")
for requirement in wanted:
    name, _, version = requirement.partition(">=")
    for old in Path(os.environ["FAKE_PIP"]).glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    folder = Path(os.environ["FAKE_PIP"]) / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Name: {name}\\nVersion: {version}\\n")
    (folder / "top_level.txt").write_text(name)
'''
HALF_A_CLONE = """#!/bin/sh
for folder; do :; done
mkdir -p "$folder/notebooks" && touch "$folder/notebooks/set_up.py"
kill -9 $PPID
"""
NOTED = """#!/bin/sh
echo "$@" >> "$NOTES"
exit 1
"""


# --- where the cell runs --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> str:
    """The interpreter of an environment that holds nothing."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    return str(next(folder.glob("[bS]*/python*")))


@pytest.fixture
def libraries(tmp_path) -> Path:
    """The folder of what is installed: a GPU's torch, and a pip that needs no network."""
    folder = tmp_path / "libraries"
    shutil.copytree(Path(packaging.__file__).parent, folder / "packaging")
    for part, content in {"__init__.py": "", "__main__.py": PIP}.items():
        write(folder / "pip" / part, content)
    write(folder / "torch-2.8.0+cu126.dist-info/METADATA", "Name: torch\nVersion: 2.8.0+cu126\n")
    return folder


@pytest.fixture
def run(tmp_path, python, libraries):
    """A function that runs the cell in a folder, there with variables, and then some code."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CIFARLIB_", "COLAB_", "PYTHON", "PIP_", "GIT_"))
    }
    variables |= {"FAKE_PIP": str(libraries), "PYTHONUTF8": "1"}
    variables |= {"no_proxy": "*", "LC_ALL": "C"}

    def run_cell(folder, *, port=9, path=(), then=TELL, before="", **named):
        source = SOURCE.replace(PORT, f":{port}/").replace(KAGGLE, str(tmp_path / "kaggle"))
        folder.mkdir(parents=True, exist_ok=True)
        return subprocess.run(
            [python, "-c", f"{before}\n{source}\n{then}"],
            cwd=folder,
            env=variables | {"PYTHONPATH": in_one([*path, libraries])} | named,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
        )

    return run_cell


def in_one(folders: list[Path]) -> str:
    """Return folders as one variable that names several."""
    return os.pathsep.join(map(str, folders))


def write(path: Path, content: str) -> Path:
    """Write a text file, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def project(tmp_path):
    """A function that makes a small project: its name, and the libraries that it needs."""

    def make(name: str, dependencies: str = "") -> Path:
        folder = tmp_path / name
        write(folder / "cifarlib/__init__.py", "")
        write(folder / "pyproject.toml", f"[project]\ndependencies = [{dependencies}]\n")
        write(folder / "notebooks/set_up.py", (ROOT / "notebooks/set_up.py").read_text("utf-8"))
        return folder

    return make


@pytest.fixture
def repository(project):
    """A function that makes a small project and commits it, to a branch."""

    def make(name: str, branch: str = "main") -> Path:
        folder = project(name)
        git(folder, "init", "--quiet", f"--initial-branch={branch}")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message=all")
        return folder

    return make


def git(folder: Path, *command: str) -> None:
    """Run git in a folder, as nobody in particular."""
    someone = ["-c", "user.name=someone", "-c", "user.email=someone@example.com"]
    subprocess.run(["git", "-C", str(folder), *someone, *command], check=True)


def a_git_that(folder: Path, script: str) -> str:
    """Return a PATH on which git is a script of our own."""
    write(folder / "git", script).chmod(0o755)
    return in_one([folder, Path("/usr/bin"), Path("/bin")])


@pytest.fixture
def colab():
    """A function that starts a list of sessions, as Colab has one; returns where, and requests."""
    servers = []

    def start(answer: str, seconds: float = 0) -> tuple[dict, list[str]]:
        asked: list[str] = []

        class Sessions(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                time.sleep(seconds)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, *_):
                pass

        server = QuietServer(("127.0.0.1", 0), Sessions)
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return {"port": server.server_port, "COLAB_JUPYTER_IP": "127.0.0.1"}, asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def session(opened: str) -> str:
    """Return Colab's list of sessions with one notebook in it."""
    path = f"fileId={quote(opened, safe='/')}"
    return json.dumps([{"name": "01", "path": path, "notebook": {"path": path}}])


def instead_of(address: str, folder: Path) -> dict[str, str]:
    """Return variables that let git take a folder where it is asked for an address."""
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{folder.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
    }


def found(done: subprocess.CompletedProcess) -> Path:
    """Return the folder of the project that a cell has found."""
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1]).parent.parent


# --- the order ------------------------------------------------------------------------------------


def test_an_installed_cifarlib_is_taken_before_all_else_without_git_or_network(
    tmp_path, run, project
):
    installed = project("installed")
    beside = project("clone") / "notebooks"
    done = run(beside, path=[installed], PATH="", CIFARLIB_CLONE_URL="nowhere")
    assert found(done) == installed
    assert [path.name for path in beside.iterdir()] == ["set_up.py"]


def test_the_clone_around_the_notebook_is_taken_before_an_address(run, project):
    clone = project("clone")
    assert found(run(clone / "notebooks", PATH="", CIFARLIB_CLONE_URL="nowhere")) == clone


def test_an_address_is_taken_before_kaggles_folder_and_colabs_list(
    tmp_path, run, project, repository, colab
):
    named = repository("named")
    project("kaggle/set/clone")
    place, asked = colab(session(f"{FORK}/blob/main/notebooks/01_a.ipynb"))
    content = tmp_path / "content"
    done = run(content, CIFARLIB_CLONE_URL=named.as_uri(), **place)
    assert found(done).parent == content
    assert not asked
    # and once it is there nothing is fetched again
    again = run(content, CIFARLIB_CLONE_URL=named.as_uri(), PATH="")
    assert found(again) == found(done)
    assert len(list(content.iterdir())) == 1


@pytest.mark.parametrize("depth", range(1, 5))
def test_kaggles_folder_is_taken_before_colabs_list(tmp_path, run, project, colab, depth):
    place, asked = colab(session(f"{FORK}/blob/main/notebooks/01_a.ipynb"))
    clone = project("/".join(["kaggle", "datasets", "owner", "set", "clone"][: depth + 1]))
    assert found(run(tmp_path / "working", PATH="", **place)) == clone
    assert not asked


@pytest.mark.parametrize("branch", ["main", "a/branch-of/2.0"])
def test_colab_clones_the_fork_and_branch_that_were_opened(
    tmp_path, run, repository, colab, branch
):
    fork = repository("fork", branch)
    git(fork, "checkout", "--quiet", "-b", "another")
    git(fork, "rm", "--quiet", "-r", ".")
    git(fork, "commit", "--quiet", "--message=nothing left")
    place, asked = colab(session(f"{FORK}/blob/{branch}/notebooks/03_training.ipynb"))
    done = run(tmp_path / "content", **place, **instead_of(FORK, fork))
    assert found(done).parent == tmp_path / "content"
    assert asked == ["/api/sessions"]


def test_colab_is_asked_where_it_listens():
    assert SOURCE.count(PORT) == 1
    assert "http://{os.environ['COLAB_JUPYTER_IP']}:9000/api/sessions" in SOURCE
    assert SOURCE.count(KAGGLE) == 1


def test_without_any_of_them_one_paragraph_says_which_variable_to_set(tmp_path, run):
    done = run(tmp_path / "empty")
    assert done.returncode == 1
    paragraph = done.stderr.splitlines()[-1]
    assert paragraph == f"ModuleNotFoundError: 請設定 · {PARAGRAPH}"
    # the example stands right above in the cell, and so in Jupyter's own report
    assert 'os.environ["CIFARLIB_CLONE_URL"] = "https://github.com/<owner>/' in SOURCE
    assert done.stderr.count("Traceback") == 1
    assert not list((tmp_path / "empty").iterdir())


# --- whom it does not trust -----------------------------------------------------------------------

STRANGE = {
    "a notebook from Drive": session("1aB2cD3eF4"),
    "another host": session("https://gitlab.com/someone/fork/blob/main/notebooks/01_a.ipynb"),
    "a host that looks like it": session(
        "https://github.com.evil.example/some/fork/blob/main/notebooks/01_a.ipynb"
    ),
    "a user before the host": session(
        "https://github.com@evil.example/some/fork/blob/main/notebooks/01_a.ipynb"
    ),
    "no encryption": session("http://github.com/some/fork/blob/main/notebooks/01_a.ipynb"),
    "an option for an owner": session(
        "https://github.com/--upload-pack=x/fork/blob/main/notebooks/01_a.ipynb"
    ),
    "an option for a repository": session(
        "https://github.com/some/-fork/blob/main/notebooks/01_a.ipynb"
    ),
    "an option for a branch": session(
        "https://github.com/some/fork/blob/--upload-pack=x/notebooks/01_a.ipynb"
    ),
    "a command in a branch": session(
        "https://github.com/some/fork/blob/$(touch x)/notebooks/01_a.ipynb"
    ),
    "an address within an address": session(
        f'https://evil.example/"fileId={FORK}/blob/main/notebooks/01_a.ipynb'
    ),
    "two lines": session(f"https://evil.example\nfileId={FORK}/blob/main/notebooks/01_a.ipynb"),
    "another project's notebook": session("https://github.com/some/fork/blob/main/a.ipynb"),
    "no session": "[]",
    "something else": '{"path": 1}',
    "no JSON": "<html>",
    "nothing": "",
}


@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE.keys())
def test_nothing_is_cloned_for_what_is_no_notebook_of_a_fork(tmp_path, run, colab, answer):
    place, asked = colab(answer)
    notes = tmp_path / "notes"
    path = a_git_that(tmp_path / "bin", NOTED)
    done = run(tmp_path / "content", PATH=path, NOTES=str(notes), **place)
    assert asked == ["/api/sessions"]
    assert PARAGRAPH in done.stderr.splitlines()[-1]
    assert not notes.exists()
    assert not list((tmp_path / "content").iterdir())


def test_a_list_that_does_not_answer_is_waited_for_three_seconds(tmp_path, run, colab):
    place, _ = colab("[]", seconds=20)
    start = time.monotonic()
    done = run(tmp_path / "content", **place)
    assert PARAGRAPH in done.stderr.splitlines()[-1]
    assert 3 <= time.monotonic() - start < 15


def test_the_cell_names_nobodys_address():
    assert SOURCE.count("github") == 2  # the pattern, and the example with nobody's name
    assert "shell" not in SOURCE


# --- clones that fail -----------------------------------------------------------------------------


def test_an_address_that_git_cannot_clone_leads_to_the_paragraph(tmp_path, run):
    nowhere = (tmp_path / "nowhere").as_uri()
    done = run(tmp_path / "content", CIFARLIB_CLONE_URL=nowhere)
    assert PARAGRAPH in done.stderr.splitlines()[-1]
    assert "does not" in done.stderr  # git's own words
    assert not list((tmp_path / "content").iterdir())


def test_a_clone_that_was_killed_is_not_taken_for_a_whole_one(tmp_path, run, repository):
    named = repository("named").as_uri()
    content = tmp_path / "content"
    path = a_git_that(tmp_path / "bin", HALF_A_CLONE)
    assert run(content, PATH=path, CIFARLIB_CLONE_URL=named).returncode < 0
    assert list(content.iterdir())
    whole = found(run(content, CIFARLIB_CLONE_URL=named))
    assert (whole / "pyproject.toml").exists()


def test_a_password_in_the_address_does_not_become_a_folders_name(tmp_path, run, repository):
    private = repository("private")
    address = "https://someone:secret@git.example/a"
    done = run(tmp_path / "content", CIFARLIB_CLONE_URL=address, **instead_of(address, private))
    assert found(done).name == "git-example-a"


# --- what is installed ----------------------------------------------------------------------------


def test_what_is_missing_is_installed_and_torch_stays_as_it_is(run, project, libraries):
    clone = project("clone", '"torch>=2.6", "captum>=0.7", "packaging>=1"')
    write(libraries / "packaging-20.0.dist-info/METADATA", "Name: packaging\nVersion: 20.0\n")
    children = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import cifarlib'])"
    done = run(clone / "notebooks", then=f"{TELL}\n{children}")
    assert done.stdout.splitlines()[0] == "安裝 · installing captum>=0.7 …"
    assert not done.stderr
    asked = json.loads((libraries / "asked.json").read_text())
    assert asked == {"constraints": ["torch==2.8.0+cu126"], "wanted": ["captum>=0.7"]}


def test_nothing_is_installed_or_said_where_nothing_is_missing(run, project, libraries):
    done = run(project("clone", '"torch>=2.6"') / "notebooks")
    assert len(done.stdout.splitlines()) == 1
    assert not (libraries / "asked.json").exists()


def test_an_old_torch_is_told_of_and_left_as_it_is(run, project, libraries):
    done = run(project("clone", '"torch>=2.9"') / "notebooks")
    assert "torch 2.8.0+cu126 比專案要的舊" in done.stdout
    assert not (libraries / "asked.json").exists()


def test_what_cannot_be_installed_is_named_and_the_notebook_goes_on(run, project):
    clone = project("clone", '"captum>=0.7", "timm>=1"')
    done = run(clone / "notebooks", FAKE_PIP_FAILS="1")
    assert "Not installed: captum>=0.7, timm>=1. Cells that use them will stop" in done.stdout
    assert "pip: ERROR: no network" in done.stdout
    assert found(done) == clone


def test_a_python_that_is_too_old_is_told_so(run, project):
    as_in_3_10 = "import sys; sys.modules['tomllib'] = None"
    done = run(project("clone") / "notebooks", before=as_in_3_10)
    assert done.stderr.splitlines()[-1].startswith("RuntimeError: 需要 Python 3.11 以上")


@pytest.mark.parametrize("before", ["", "import psutil"])
def test_a_library_that_was_replaced_while_in_use_asks_for_a_restart(
    run, project, libraries, before
):
    write(libraries / "psutil.py", "")
    write(libraries / "psutil-5.0.dist-info/METADATA", "Name: psutil\nVersion: 5.0\n")
    write(libraries / "psutil-5.0.dist-info/top_level.txt", "psutil\n")
    done = run(project("clone", '"psutil>=5.9"') / "notebooks", before=before)
    assert ("psutil. Restart the kernel" in done.stdout) == bool(before)
    assert "Not installed" not in done.stdout


# --- a folder that is read-only, without a network ------------------------------------------------

# makes a folder read-only for the command that follows, though root may write to all
MOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
# the interpreter of these tests has all the libraries, and cifarlib
HIDE = "import importlib.util as u; real = u.find_spec; u.find_spec = lambda name: None"
LOOK = """
u.find_spec = real
import cifarlib
from cifarlib.data.locate import data_place
from cifarlib.experiments.store import own_folder
from cifarlib.utils.files import ensure_folder
print(len(cifarlib.load_runs()), cifarlib.__file__)
for folder in (data_place().folder, own_folder()):
    print(ensure_folder(folder))
"""


@pytest.fixture
def read_only(tmp_path):
    """A clone in Kaggle's folder that cannot be written to, and what to run a command with."""
    clone = tmp_path / "kaggle/set/clone"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "cifarlib", clone / "cifarlib", ignore=ignored)
    write(clone / "notebooks/set_up.py", (ROOT / "notebooks/set_up.py").read_text("utf-8"))
    shutil.copy(ROOT / "pyproject.toml", clone)
    without_network = ["unshare", "--map-root-user", "--mount", "--net"]
    prefix = [*without_network, "sh", "-c", MOUNT, str(clone)]
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"]).returncode:
        if not hasattr(os, "geteuid") or os.geteuid() == 0:
            pytest.skip("nothing can be made read-only here")
        prefix = []
        for folder in [clone, *clone.rglob("*/")]:
            folder.chmod(0o555)
    yield clone, prefix
    for folder in [clone, *clone.rglob("*/")]:
        folder.chmod(0o755)


@pytest.mark.slow
def test_a_read_only_clone_is_used_where_it_is_and_written_to_elsewhere(tmp_path, read_only):
    clone, prefix = read_only
    working = tmp_path / "working"
    working.mkdir()
    source = SOURCE.replace(KAGGLE, str(tmp_path / "kaggle"))
    variables = {name: value for name, value in os.environ.items() if "CIFARLIB_" not in name}
    done = subprocess.run(
        [*prefix, sys.executable, "-c", f"{HIDE}\n{source}\n{LOOK}"],
        cwd=working,
        env=variables | {"PIP_NO_INDEX": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    first, data, runs = done.stdout.splitlines()
    number, file = first.split(maxsplit=1)
    assert int(number) > 0
    assert file == str(clone / "cifarlib/__init__.py")
    assert [Path(data), Path(runs)] == [working / "data", working / "runs"]
    assert not list(clone.rglob("__pycache__"))
