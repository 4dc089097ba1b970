"""Make the notebooks a site of static pages, from their committed outputs: nothing is executed.

python scripts/build_site.py --out site
python -m http.server -d site      # then http://localhost:8000: the search needs a server

Needs pip install 'cifarlib[site]', and no network. The README is the front page; Markdown files
that pages link to become pages too. Other files are linked at the repository's address where that
is known (--repository, else the git remote `origin`, else GITHUB_REPOSITORY), else named only.
"""

import argparse
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

# the package beside this file needs libraries that may be missing: main says so first
if TYPE_CHECKING:
    from website.links import Repository
    from website.sources import Page

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("nbconvert", "bs4", "latex2mathml")
EXPLORER = "explorer.html"


def read_pages(root: Path, sources: list[PurePosixPath]) -> "list[Page]":
    """Return the pages of the sources, and of the Markdown files that they link to, and so on."""
    from website.links import linked_documents
    from website.sources import Exporter, read_page

    exporter = Exporter()
    pages = []
    waiting = list(sources)
    for source in waiting:  # which grows
        page = read_page(root, source, exporter)
        pages.append(page)
        for document in linked_documents(page):
            if document not in waiting and (root / document).exists():
                waiting.append(document)
    return pages


def add_explorer(folder: Path) -> str | None:
    """Write the explorer beside the pages; return its address, or None where it cannot be made.

    That is where cifarlib, or a library that the explorer draws with, is not installed.
    """
    try:
        from cifarlib.tools.explorer.write import write_explorer
    except ModuleNotFoundError as error:
        print(f"no explorer on the site: {error}", file=sys.stderr)
        return None
    write_explorer(folder / EXPLORER, home="index.html")
    return EXPLORER


def build(
    root: Path,
    out: Path,
    repository: "Repository | None" = None,
    search: bool = True,
    explorer: bool = True,
) -> int:
    """Make the site of the repository at `root` in folder `out`; return how many pages it has.

    `repository` is where links to files that are no pages lead. Raises ValueError for a
    source that cannot be shown, a dead link, or a folder `out` that holds something else.
    """
    from website import links, marks, writing

    notebooks = sorted((root / "notebooks").glob("*.ipynb"))
    series = [PurePosixPath("README.md")]
    series += [PurePosixPath(path.relative_to(root).as_posix()) for path in notebooks]
    with writing.replaced(out) as folder:
        pages = read_pages(root, series)
        addresses = {page.source: page.address for page in pages}
        if len(set(addresses.values())) < len(pages):
            raise ValueError(f"two pages of one address: {sorted(addresses.values())}")
        for page in pages:
            links.take_pictures(page, root)
            links.rewrite_links(page, root, addresses, repository)
            marks.mark_page(page)
        beside = add_explorer(folder) if explorer else None
        problems = links.dead_links(pages)
        if problems:
            raise ValueError("; ".join(problems))
        site = writing.Site(pages[: len(series)], repository, beside, search)
        template = writing.page_template()
        for page in pages:
            writing.write_page(folder, page, site, template)
        writing.copy_assets(folder)
        if search:
            from pagefind_bin_extended import get_executable

            writing.add_search(folder, get_executable())
    return len(pages) + (beside is not None)


def find_repository(address: str | None, branch: str) -> "Repository | None":
    """Return the repository on GitHub: as asked, of the remote, of the workflow, or None.

    Raises ValueError where the address asked for is none of GitHub's.
    """
    from website.links import github_repository

    if address is not None:
        repository = github_repository(address, branch)
        if repository is None:
            raise ValueError(
                f"got --repository {address}, expected https://github.com/OWNER/REPOSITORY"
            )
        return repository
    asked = ["git", "-C", str(ROOT), "remote", "get-url", "origin"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    except OSError:  # no git here
        told = ""
    workflow = f"https://github.com/{os.environ.get('GITHUB_REPOSITORY', '')}"
    return github_repository(told, branch) or github_repository(workflow, branch)


def check_libraries(search: bool) -> None:
    """Raise ValueError where a library is missing, rather than fail in the middle."""
    needed = [*NEEDED, "pagefind_bin_extended"] if search else NEEDED
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise ValueError(f"no {', '.join(missing)} here: pip install 'cifarlib[site]'")


def main() -> int:
    """Build the site; bad input gives one line and exit code 2."""
    parser = argparse.ArgumentParser(description="Make the notebooks a site of static pages.")
    parser.add_argument("--out", type=Path, default=ROOT / "site", help="Folder of the site.")
    parser.add_argument("--repository", help="Its address on GitHub, for links to it and Colab.")
    parser.add_argument("--branch", default="main", help="The branch that such links name.")
    parser.add_argument("--no-search", action="store_true", help="Leave the search out.")
    asked = parser.parse_args()
    search = not asked.no_search
    try:
        check_libraries(search)
        repository = find_repository(asked.repository, asked.branch)
        count = build(ROOT, asked.out.resolve(), repository, search)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    files = [path for path in asked.out.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{asked.out}: {count} pages, {len(files)} files, {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
