"""Run 03 and 04 as a reader without records who edits the list of backbones: all trains live."""

import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
LIST = re.compile(r"^backbones = \[.*\].*$", re.M)
# small nets, for the notebooks are on trial here, not the nets; lite0's weights come by pip, and
# under timm's name it is a backbone of the reader's own, which is trained on the spot
OWN_LIST = 'backbones = ["tf_efficientnet_lite0", "test_resnet"]'
EXPECTED = {
    "tf_efficientnet_lite0-{}px-scratch-smoke",
    "tf_efficientnet_lite0-{}px-imagenet-smoke",
    "test_resnet-{}px-scratch-smoke",
}


def run_edited(path: Path) -> None:
    """Run a notebook, where it lies, with a list of our own in place of the series' backbones."""
    notebook = nbformat.read(path, as_version=4)
    edits = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source, found = LIST.subn(OWN_LIST, cell.source)
            edits += found
    assert edits == 1, f"{path.name} has {edits} lists of backbones, expected one"
    NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}).execute()


with tempfile.TemporaryDirectory() as folder:
    runs = Path(folder) / "runs"
    # nothing named: the stand-in, or a download where there is a network
    os.environ.pop("CIFARLIB_DATA", None)
    os.environ["CIFARLIB_RUNS"] = str(runs)
    os.environ["CIFARLIB_BUDGET"] = "smoke"
    os.environ["CIFARLIB_RECORDS"] = "none"
    for path in sorted((ROOT / "notebooks").glob("0[34]*.ipynb")):
        run_edited(path)
    found = {record.parent.name.partition("@")[0] for record in runs.glob("*/record.json")}

expected = {run_id.format(size) for run_id in EXPECTED for size in (32, 64, 128)}
missing = sorted(expected - found)
if missing:
    sys.exit(f"not trained live: {', '.join(missing)}")
print(f"live notebooks: good, {len(found)} runs trained")
