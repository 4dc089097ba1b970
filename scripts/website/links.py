"""Where an address in a file of the repository leads on the site: no link is dead."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from bs4 import Tag

from .sources import Page

GITHUB = re.compile(
    r"(?:https?://github\.com/|(?:ssh://)?git@github\.com[:/])"
    r"(?P<owner>[\w.-]+)/(?P<name>[\w.-]+?)(?:\.git)?/?"
)


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub, at one of its branches."""

    owner: str
    name: str
    branch: str

    def page_of(self, path: PurePosixPath) -> str:
        """Return the address of a file."""
        return f"https://github.com/{self.owner}/{self.name}/blob/{self.branch}/{path}"

    def colab_of(self, path: PurePosixPath) -> str:
        """Return the address at which Colab opens a notebook."""
        place = f"{self.owner}/{self.name}/blob/{self.branch}/{path}"
        return f"https://colab.research.google.com/github/{place}"


def github_repository(address: str, branch: str) -> Repository | None:
    """Return the repository that an https or ssh address of GitHub names, else None."""
    found = GITHUB.fullmatch(address.strip())
    if found is None:
        return None
    return Repository(found["owner"], found["name"], branch)


def is_outside(address: str) -> bool:
    """Return whether an address names a host or a scheme of its own."""
    parts = urlsplit(address)
    return bool(parts.scheme or parts.netloc)


def path_of(address: str, source: PurePosixPath) -> PurePosixPath:
    """Return the file, from the repository's root, that a relative address in `source` names."""
    path = unquote(urlsplit(address).path)
    return PurePosixPath(posixpath.normpath(posixpath.join(source.parent.as_posix(), path)))


def linked_documents(page: Page) -> Iterator[PurePosixPath]:
    """Yield the Markdown files that a page links to."""
    for link in page.article.find_all("a", href=True):
        address = str(link["href"])
        if not is_outside(address) and urlsplit(address).path.endswith(".md"):
            yield path_of(address, page.source)


def rewrite_links(
    page: Page,
    root: Path,
    addresses: Mapping[PurePosixPath, str],
    repository: Repository | None,
) -> None:
    """Let a page's links lead to pages, else to the repository, else be plain text.

    `addresses` are those of the pages by their sources. Raises ValueError for a link to a file
    that is not there.
    """
    for link in page.article.find_all("a", href=True):
        address = str(link["href"])
        if is_outside(address) or address.startswith("#"):
            continue
        path = path_of(address, page.source)
        if not (root / path).exists():
            raise ValueError(f"{page.source} links to {address}, which is not there")
        fragment = urlsplit(address).fragment
        if path in addresses:
            link["href"] = addresses[path] + (f"#{fragment}" if fragment else "")
        elif repository is not None:
            link["href"] = repository.page_of(path)
        else:
            link.unwrap()


def take_pictures(page: Page, root: Path) -> None:
    """Bring along the pictures of a Markdown file.

    Raises ValueError for a picture of another host, which the site would have to ask for.
    """
    for picture in page.article.find_all("img"):
        address = str(picture["src"])
        if address in page.pictures or address.startswith("data:"):
            continue
        if is_outside(address):
            raise ValueError(f"{page.source} shows {address}: bring the picture along")
        path = path_of(address, page.source)
        page.pictures[path.as_posix()] = (root / path).read_bytes()
        picture["src"] = path.as_posix()


def dead_links(pages: list[Page]) -> list[str]:
    """Return what is wrong with the links among pages, a line for each."""
    anchors = {}
    for page in pages:
        anchors[page.address] = {str(tag["id"]) for tag in page.article.find_all(id=True)}
    problems = []
    for page in pages:
        for link in page.article.find_all("a", href=True):
            problem = _problem(link, page, anchors)
            if problem:
                problems.append(f"{page.source} links to {link['href']}: {problem}")
    return problems


def _problem(link: Tag, page: Page, anchors: dict[str, set[str]]) -> str | None:
    """Say what is wrong with one link, or None."""
    parts = urlsplit(str(link["href"]))
    if parts.scheme or parts.netloc:
        return None
    address = parts.path or page.address
    if address not in anchors:
        return "no such page"
    if parts.fragment and unquote(parts.fragment) not in anchors[address]:
        return "no such heading"
    return None
