"""The package stays small, and its imports point one way."""

import ast
import tomllib
from pathlib import Path

import cifarlib
from cifarlib import BACKBONES, measured_speeds
from cifarlib.experiments import IMAGE_SIZES

PACKAGE = Path(cifarlib.__file__).parent
ORDER = """files cifar100 network progress sources standin data augment weights models machine checkpoints training
trainer evaluation statistics experiments records results running gridrun benchmark plots __main__"""


def code_lines(path: Path) -> int:
    """Count a module's lines without blank ones, comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, documented) and ast.get_docstring(n)]
    said = {line for node in nodes for line in range(node.body[0].lineno, node.body[0].end_lineno + 1)}
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(line.strip()) and line.strip()[0] != "#" and number not in said for number, line in lines)


def test_imports_point_one_way():
    assert sorted(ORDER.split()) == sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")
    for place, name in enumerate(ORDER.split()):
        tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
        inner = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
        imported = {n.module or a.name for n in inner for a in n.names} - {"__version__"}
        assert imported <= set(ORDER.split()[:place]), name


def test_small_is_a_feature():
    assert sum(code_lines(path) for path in PACKAGE.glob("*.py")) < 1800
    for path in PACKAGE.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 210, path.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.body[0].lineno <= 40, f"{path.name}: {node.name}"


def test_public_names_say_what_they_are():
    for path in PACKAGE.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_the_version_is_said_once_and_the_same():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == cifarlib.__version__


def test_the_measured_speeds_cover_the_comparison():
    speeds = measured_speeds().set_index(["backbone", "image_size", "stem"])
    assert {(b, s, "imagenet") for b in BACKBONES for s in IMAGE_SIZES} | {("ResNet18", 32, "cifar")} == {*speeds.index}
    assert (speeds.images_per_second > 0).all()
    assert speeds.device.nunique() == 1
