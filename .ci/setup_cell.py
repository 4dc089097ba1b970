"""Run the notebooks' set-up cell as Colab would: away from the clone, in its kernel, with torch.

It is handed a list of sessions that says which fork and branch the notebook was opened from; git
takes a copy of this folder for that fork.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import venv
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
FORK = "https://github.com/someone/a-fork"
BRANCH = "a/branch"
OPENED = f"{FORK}/blob/{BRANCH}/notebooks/01_data_exploration.ipynb"
# what Colab has, and older than what pip would choose
COLAB = ["ipython==7.34.0", "ipykernel==6.17.1", "traitlets==5.7.1", "numpy==2.0.2"]
COLAB += ["pandas==2.2.2", "matplotlib==3.10.0", "psutil==5.9.5"]
IN_A_KERNEL = """
import json
import sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel()
try:
    for cell in json.load(sys.stdin):
        reply = client.execute_interactive(cell, timeout=600)["content"]
        if reply["status"] != "ok":
            sys.exit(reply["evalue"])
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""
LOOK = """
import cifarlib
import IPython
import matplotlib.pyplot as plt
import torch
from cifarlib.lessons import figures

figures.use_style()
assert cifarlib.__file__.startswith(os.getcwd()), cifarlib.__file__
assert "inline" in plt.get_backend(), plt.get_backend()
run = cifarlib.load_runs()[0]
plt.plot(run.history["epoch"], run.history["valid_accuracy"])
display(run.history.tail(2))
figures.show_source(cifarlib.evaluate)
print("set-up cell: good, torch", torch.__version__, "IPython", IPython.__version__)
"""


class Sessions(BaseHTTPRequestHandler):
    """Colab's list of sessions, with one notebook in it."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        path = f"fileId={quote(OPENED, safe='/')}"
        self.wfile.write(json.dumps([{"path": path}]).encode())

    def log_message(self, *_):
        """Print nothing."""


def listen() -> str:
    """Answer at Colab's port until the process ends, and return the address."""
    pid = os.getpid()
    # one of this machine's own addresses that nobody else uses
    address = f"127.1.{pid // 256 % 256}.{pid % 256}"
    if sys.platform == "darwin":
        address = "127.0.0.1"  # the only one there
    server = ThreadingHTTPServer((address, 9000), Sessions)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return address


def copy_as_fork(folder: Path) -> None:
    """Copy what git sees in this folder, changes included, into a repository with one branch."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    someone = ["-c", "user.name=someone", "-c", "user.email=someone@example.com"]
    for command in (
        ["init", "--quiet", f"--initial-branch={BRANCH}"],
        ["add", "."],
        ["commit", "--quiet", "--message=all"],
    ):
        subprocess.run(["git", *someone, *command], cwd=folder, check=True)


def frozen(python: str) -> list[str]:
    """Return what is installed for an interpreter, as name==version."""
    command = [python, "-m", "pip", "freeze"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def set_up_cell() -> str:
    """Return the source of the notebooks' set-up cell."""
    text = (ROOT / "notebooks/01_data_exploration.ipynb").read_text(encoding="utf-8")
    sources = ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
    return next(source for source in sources if "CLONE_URL" in source)


def main() -> None:
    """Make the environment, run the cell in it, and see that torch is what it was."""
    torch = [
        name for name in frozen(sys.executable) if name.startswith(("torch==", "torchvision=="))
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python = str(next((folder / "venv").glob("[bS]*/python*")))
        subprocess.run([python, "-m", "pip", "install", "--quiet", *torch, *COLAB], check=True)
        copy_as_fork(folder / "fork")
        content = folder / "content"
        content.mkdir()
        surroundings = os.environ | {
            "COLAB_JUPYTER_IP": listen(),
            "no_proxy": "*",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a warning of the kernel's debugger
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{(folder / 'fork').as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": FORK,
        }
        surroundings.pop("CIFARLIB_CLONE_URL", None)
        cells = json.dumps(["%matplotlib inline", set_up_cell(), LOOK])
        kernel = [python, "-c", IN_A_KERNEL]
        done = subprocess.run(kernel, input=cells, text=True, cwd=content, env=surroundings)
        if done.returncode:
            sys.exit("the set-up cell failed as on Colab")
        changed = {*torch, *COLAB} - set(frozen(python))
        assert not changed, f"the set-up cell changed {', '.join(sorted(changed))}"


main()
