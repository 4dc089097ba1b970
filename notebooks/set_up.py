"""What the notebooks' set-up cell leaves to do once it has found the project.

The cell runs this file by its path where nothing of the project can be imported yet, on Colab or
Kaggle say: it needs Python and pip, and none of the project's libraries.
"""

import importlib
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

try:
    from packaging.requirements import Requirement
except ModuleNotFoundError:  # pip has a copy of its own
    from pip._vendor.packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
# left as they are where they are installed: what a service gives its machines fits their GPU, and
# everything else there was built against it
KEPT = ("torch", "torchvision", "torchaudio", "numpy")


def set_up() -> None:
    """Make cifarlib importable, here and in the processes that are started from here.

    Installs the libraries that it needs and that are missing or too old, but see KEPT. Prints what
    is installed, what could not be, and whether to restart. Writes nothing into the project's
    folder, which may be read-only. Raises RuntimeError for a Python that is too old.
    """
    unmet = unmet_requirements()
    wanted = [requirement for requirement in unmet if not is_kept(requirement)]
    if wanted:
        install(wanted)
    for requirement in unmet:
        if is_kept(requirement):
            tell_of_old(requirement)
    folders = [str(ROOT)]
    if os.environ.get("PYTHONPATH"):
        folders.append(os.environ["PYTHONPATH"])
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
    sys.path.insert(0, str(ROOT))  # last: a set-up that was stopped is taken up again


def unmet_requirements() -> list[Requirement]:
    """Return the run-time libraries of pyproject.toml that are missing here, or too old.

    Raises RuntimeError for a Python that is too old.
    """
    try:
        import tomllib
    except ModuleNotFoundError:  # it came with 3.11
        raise RuntimeError(
            f"需要 Python 3.11 以上，這裡是 {sys.version.split()[0]} · cifarlib needs Python 3.11+"
        ) from None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [Requirement(line) for line in project["dependencies"]]
    return [requirement for requirement in requirements if not is_met(requirement)]


def is_met(requirement: Requirement) -> bool:
    """Say whether a library is installed in a version that will do."""
    version = installed_version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def is_kept(requirement: Requirement) -> bool:
    """Say whether a library is one that is left as it is: see KEPT."""
    return requirement.name in KEPT and installed_version(requirement.name) is not None


def installed_version(name: str) -> str | None:
    """Return a library's version, or None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def install(wanted: list[Requirement]) -> None:
    """Install libraries by pip, and print what came of it."""
    print(f"安裝 · installing {', '.join(str(requirement) for requirement in wanted)} …")
    before = {requirement.name: installed_version(requirement.name) for requirement in wanted}
    said = pip_install(wanted)
    importlib.invalidate_caches()
    missing = [str(requirement) for requirement in wanted if not is_met(requirement)]
    if missing:
        print(
            f"安裝失敗：{', '.join(missing)}。用到的儲存格會停下來；請接上網路"
            "（Kaggle：Settings → Internet → On），重新啟動核心，再從頭執行。\n"
            f"Not installed: {', '.join(missing)}. Cells that use them will stop; switch the"
            " network on (Kaggle: Settings → Internet → On), restart the kernel and run all again."
            f"\npip: {said}"
        )
    replaced = [name for name, version in before.items() if version != installed_version(name)]
    loaded = [name for name in replaced if before[name] and is_loaded(name)]
    if loaded:
        print(
            f"換了新版：{', '.join(loaded)}。請重新啟動核心，再從頭執行。\n"
            f"Brought up to date: {', '.join(loaded)}. Restart the kernel and run all again."
        )


def pip_install(wanted: list[Requirement]) -> str:
    """Install libraries, with what is KEPT as it is, and return pip's last word on an error."""
    kept = [f"{name}=={installed_version(name)}" for name in KEPT if installed_version(name)]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(kept), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--retries=1"]
        command += ["--constraint", str(constraints), *map(str, wanted)]
        done = subprocess.run(command, capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if line.strip()]
    return errors[-1] if errors else ""


def is_loaded(name: str) -> bool:
    """Say whether a module of an installed library has been imported in this process."""
    for module, libraries in metadata.packages_distributions().items():
        if module in sys.modules and name.lower() in [library.lower() for library in libraries]:
            return True
    return False


def tell_of_old(requirement: Requirement) -> None:
    """Print that a library is left as it is, though it is too old."""
    version = installed_version(requirement.name)
    print(
        f"{requirement.name} {version} 比專案要的舊，沒有動它 · is older than what the project asks"
        f" for ({requirement}); it is left as it is"
    )
