"""Pages are put into the template, and the site into its place."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2
import markupsafe

from . import marks
from .links import Repository
from .sources import HERE, Page

MARKER = ".made-by-build-site"  # says that a folder is an earlier site, which may be replaced
# what of Pagefind's the pages use; its own interfaces are left out
PAGEFIND_PARTS = ("pagefind.js", "pagefind-worker.js", "pagefind-entry.json")


@dataclass(frozen=True)
class Site:
    """What all pages share."""

    series: list[Page]  # the front page and the notebooks, in the order of reading
    repository: Repository | None
    explorer: str | None  # its address, where it was made
    search: bool


def page_template() -> jinja2.Template:
    """Return the template of the page around an article."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "template"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("page.html.j2")


def write_page(folder: Path, page: Page, site: Site, template: jinja2.Template) -> None:
    """Write a page and its pictures below `folder`."""
    html = template.render(
        page=described(page, site),
        series=[named(book) for book in site.series if book.is_notebook],
        site=site,
    )
    (folder / page.address).write_text(html, encoding="utf-8")
    for address, content in page.pictures.items():
        path = folder / address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def named(page: Page) -> dict[str, str]:
    """Return what a link to a page says."""
    chinese, english = marks.halves(page.article.find_all("h1")[0])
    number = page.address[:2]
    return {"address": page.address, "number": number, "chinese": chinese, "english": english}


def described(page: Page, site: Site) -> dict[str, object]:
    """Return what the template needs of a page."""
    entries = marks.contents(page.article)
    told: dict[str, object] = {
        **named(page),
        "source": page.source,
        "html": markupsafe.Markup(str(page.article)),
        "entries": entries,
        "repository": None,
        "colab": None,
        "before": None,
        "after": None,
    }
    if site.repository is not None:
        told["repository"] = site.repository.page_of(page.source)
        if page.is_notebook:
            told["colab"] = site.repository.colab_of(page.source)
    if page in site.series:
        place = site.series.index(page)
        if place > 0:
            told["before"] = named(site.series[place - 1])
        if place + 1 < len(site.series):
            told["after"] = named(site.series[place + 1])
    return told


def add_search(folder: Path, executable: Path) -> None:
    """Let Pagefind index the pages; RuntimeError with its words where it cannot."""
    asked = [str(executable), "--site", str(folder), "--output-subdir", "pagefind"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"pagefind: {(done.stderr or done.stdout).strip()}")
    for path in (folder / "pagefind").iterdir():
        kept = path.name in PAGEFIND_PARTS or path.name.endswith((".pagefind", ".pf_meta"))
        if path.is_file() and not kept:
            path.unlink()


def refuse_to_overwrite(out: Path) -> None:
    """Raise ValueError unless `out` is missing, empty or an earlier site."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ValueError(f"got --out {out}, which is a file, expected a folder")
    if any(out.iterdir()) and not (out / MARKER).exists():
        raise ValueError(f"got --out {out}, which holds something else than an earlier site")


@contextlib.contextmanager
def replaced(out: Path) -> Iterator[Path]:
    """Yield a new folder that becomes `out` only if the block succeeds.

    Raises ValueError before anything is made where `out` is not the site's to replace.
    """
    refuse_to_overwrite(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        yield new
        (new / MARKER).touch()
        if out.exists():
            out.rename(Path(temporary) / "old")
        new.rename(out)


def copy_assets(folder: Path) -> None:
    """Copy styles, scripts and the icon."""
    shutil.copytree(HERE / "assets", folder / "assets")
