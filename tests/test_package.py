"""The package's parts depend on each other one way, and its names are what they say."""

import ast
import importlib.metadata
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import cifarlib
import cifarlib.__main__

PACKAGE = Path(cifarlib.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
# a part imports only from itself and from those before it; lessons and tools do not know each other
LIBRARY = [
    "utils",
    "config",
    "published",
    "data",
    "models",
    "training",
    "evaluation",
    "experiments",
]
ALLOWED = {part: LIBRARY[: place + 1] for place, part in enumerate(LIBRARY)}
ALLOWED["lessons"] = [*LIBRARY, "lessons"]
ALLOWED["tools"] = [*LIBRARY, "tools"]
ALLOWED["__main__"] = ["tools"]
HEAVY = {"torch", "timm", "cv2", "albumentations"}


def name_of(path: Path) -> str:
    """Return where a module lies in the package."""
    return path.relative_to(PACKAGE).as_posix()


def parts_imported(path: Path) -> Iterator[str]:
    """Yield from which of the package's parts a module imports, anywhere in it."""
    folder = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("cifarlib") for alias in node.names), path
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert not node.module.startswith("cifarlib"), path  # imports within are relative
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1]
            for alias in node.names:
                yield [*base, *(node.module or "").split("."), alias.name][0] or alias.name


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.parent != PACKAGE or path.stem != "__init__"],
    ids=name_of,
)
def test_a_part_imports_only_from_itself_and_those_before_it(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert set(parts_imported(path)) <= {*ALLOWED[part], "__version__"}


# --- public names ---------------------------------------------------------------------------------


def listed_names() -> list[str]:
    """Return the public names that __init__.pyi lists."""
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return [alias.asname for node in imports for alias in node.names]


@pytest.mark.parametrize("name", listed_names())
def test_a_listed_name_can_be_imported_and_is_in_dir(name):
    assert getattr(cifarlib, name) is not None
    assert name in dir(cifarlib)
    assert name in cifarlib.__all__


def test_an_unlisted_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = cifarlib.no_such_name


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_public_names_say_what_they_are(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_the_version_is_said_once_and_the_same():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == cifarlib.__version__


def test_the_command_cifarlib_is_the_command_line():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="cifarlib")
    assert script.load() is cifarlib.__main__.main


# --- what is loaded -------------------------------------------------------------------------------

SPY = """
import json, runpy, sys
sys.argv = ["cifarlib", *sys.argv[1:]]
try:
    runpy.run_module("cifarlib", run_name="__main__", alter_sys=True)
except SystemExit as leave:
    assert not leave.code, leave.code
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["results"]], ids=" ".join)
def test_help_and_results_load_nothing_heavy(arguments):
    command = [sys.executable, "-c", SPY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not HEAVY & set(json.loads(done.stderr))


@pytest.mark.slow
def test_nothing_of_the_library_loads_matplotlib():
    names = []
    for path in MODULES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[1].removesuffix(".py") in LIBRARY:
            names.append(".".join(parts).removesuffix(".__init__"))
    code = f"import importlib, sys; [importlib.import_module(name) for name in {names}]"
    code += "; sys.exit('matplotlib' in sys.modules)"
    assert len(names) > len(LIBRARY)
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
