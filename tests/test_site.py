"""The site: what its pages hold, and that no link, picture or host is asked for in vain."""

import base64
import importlib.util
import itertools
import sys
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from matplotlib import pyplot as plt

from cifarlib.utils.files import PACKAGE

for needed in ("nbconvert", "latex2mathml"):
    pytest.importorskip(needed, reason="needs pip install 'cifarlib[site]'")

ROOT = PACKAGE.parent
REPOSITORY = "https://github.com/someone/backbones"


@pytest.fixture(scope="session")
def build_site():
    """The script as a module; the package beside it is found as when it is run."""
    sys.path.insert(0, str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("build_site", ROOT / "scripts/build_site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="session")
def real(build_site, tmp_path_factory):
    """The site of the real notebooks, without the search, and the address of no repository."""
    out = tmp_path_factory.mktemp("site") / "real"
    build_site.build(ROOT, out, search=False)
    return out


@pytest.fixture(scope="session")
def pages(real):
    """Its pages by name, parsed; the explorer, which is no article, has tests of its own."""
    return {path.name: read(path) for path in real.glob("*.html") if path.name != "explorer.html"}


@pytest.fixture
def small(tmp_path):
    """A repository of one page of each kind."""
    root = tmp_path / "repository"
    (root / "notebooks").mkdir(parents=True)
    (root / "README.md").write_text(
        "# 題目<br>The title\n\n"
        "[一](notebooks/01_one.ipynb) [改](CONTRIBUTING.md) [授權](LICENSE)\n",
        encoding="utf-8",
    )
    (root / "CONTRIBUTING.md").write_text("# 一起改 · Contributing\n", encoding="utf-8")
    (root / "LICENSE").write_text("MIT", encoding="utf-8")
    write_notebook(root, "01_one", PROSE)
    return root


PROSE = """# 01 一
## The first

### 先

從 $10^{-3}$ 開始。

> It begins at 1e-3, said 一.

## 曲線 · The curves

## 曲線 · The curves

[這裡](#曲線-·-The-curves-2)、[前面](../README.md)

<details><summary>答案 · Answer</summary>

多一點。 · A little more.
</details>
"""


def write_notebook(root: Path, name: str, *prose: str) -> None:
    """Write a notebook of passages, with a figure and a table at its end."""
    plt.figure(figsize=(2, 1))
    plt.savefig(root / "figure.png", dpi=50)
    cells = [nbformat.v4.new_markdown_cell(text) for text in prose]
    png = (root / "figure.png").read_bytes()
    figure = nbformat.v4.new_output(
        "display_data",
        {"image/png": _base64(png), "text/plain": "figure: 4 panels, 2,010 numbers, 41943d4f"},
    )
    table = nbformat.v4.new_output(
        "display_data",
        {"text/html": "<style>td {color: red}</style><table border=1><tr><td>1</table>"},
    )
    widget = nbformat.v4.new_output(
        "display_data",
        {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "VBox()"},
    )
    bar = [nbformat.v4.new_output("stream", text=f"\r{done}/2") for done in (0, 1, 2)]
    code = "# 準備環境 · Set-up\nimport os"
    cells.append(nbformat.v4.new_code_cell(code, outputs=[figure, table, widget, *bar]))
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbformat.write(notebook, root / f"notebooks/{name}.ipynb")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def read(path: Path) -> BeautifulSoup:
    """Return a page, parsed."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def made_of(build_site, root: Path, **options) -> BeautifulSoup:
    """Return the notebook's page of the small repository's site."""
    build_site.build(root, root.parent / "site", search=False, explorer=False, **options)
    return read(root.parent / "site/01_one.html")


# ---- of a small repository


def test_english_is_marked_and_told_from_what_is_not_a_translation(build_site, small):
    page = made_of(build_site, small)
    assert page.html["lang"] == "zh-Hant"
    assert page.select_one("blockquote")["lang"] == "en"
    words = [mark.get_text() for mark in page.select("article span.english[lang=en]")]
    assert words[:3] == [" · The first", " · The curves", " · The curves"]
    assert " · A little more." in words
    assert page.h1.get_text() == "01 一 · The first"
    assert page.title.get_text() == "01 一 · The first"


def test_headings_have_anchors_and_no_level_is_passed_over(build_site, small):
    page = made_of(build_site, small)
    sections = [(heading.name, heading["id"]) for heading in page.select("article h2, article h3")]
    assert sections == [
        ("h2", "先"),
        ("h2", "曲線-·-The-curves"),
        ("h2", "曲線-·-The-curves-2"),
    ]
    listed = [link["href"] for link in page.select(".contents.wide a")]
    assert listed == [f"#{anchor}" for _, anchor in sections]


def test_formulas_are_drawn_and_one_that_cannot_be_fails(build_site, small):
    page = made_of(build_site, small)
    assert page.select_one("math msup").get_text() == "10−3"
    assert "$" not in page.article.get_text()
    write_notebook(small, "01_one", "# 一", r"$\unheard{x}$")
    with pytest.raises(ValueError, match=r"01_one\.ipynb.*unheard"):
        made_of(build_site, small)


def test_outputs_are_shown_without_a_kernel(build_site, small):
    page = made_of(build_site, small)
    picture = page.select_one(".output img")
    assert picture["alt"] == "圖 1：曲線（4 格、2,010 個數字；說明在前後文）"
    assert (picture["width"], picture["height"]) == ("100", "50")
    assert page.select_one(".table > table").get_text() == "1"
    assert not page.select("style")
    assert "VBox" not in page.get_text()
    assert "在 Jupyter 裡執行才會出現" in page.get_text()
    assert page.select(".output pre")[-1].get_text() == "2/2"  # a progress bar's last line only
    assert page.select_one("details.set-up summary").get_text() == "準備環境 · Set-up"


def test_files_that_are_no_pages_are_linked_where_the_repository_is_known(build_site, small):
    page = made_of(build_site, small)
    front = read(small.parent / "site/index.html")
    assert [link["href"] for link in front.select("article a")] == [
        "01_one.html",
        "CONTRIBUTING.html",
    ]
    assert "Colab" not in page.get_text()
    repository = build_site.find_repository(REPOSITORY, "main")
    page = made_of(build_site, small, repository=repository)
    front = read(small.parent / "site/index.html")
    assert front.select("article a")[-1]["href"] == f"{REPOSITORY}/blob/main/LICENSE"
    colab = "https://colab.research.google.com/github/someone/backbones/blob/main"
    assert page.select_one(".open a")["href"] == f"{colab}/notebooks/01_one.ipynb"


def test_the_explorer_is_linked_from_every_page_if_it_was_made(build_site, small, monkeypatch):
    page = made_of(build_site, small)
    assert not page.select('.books a[href="explorer.html"]')
    explorer = SimpleNamespace(write_explorer=lambda path, home: path.write_text(home))
    monkeypatch.setitem(sys.modules, "cifarlib.tools.explorer.write", explorer)
    build_site.build(small, small.parent / "site", search=False)
    assert read(small.parent / "site/01_one.html").select('.books a[href="explorer.html"]')
    assert (small.parent / "site/explorer.html").read_text() == "index.html"


@pytest.mark.parametrize(
    ("prose", "words"),
    [
        ("# 一\n\n[x](02_none.ipynb)", "02_none.ipynb, which is not there"),
        ("# 一\n\n[x](#none)", "no such heading"),
        ("# 一\n\n[x](../README.md#none)", "no such heading"),
        ("# 一\n\n![x](https://host.org/x.png)", "bring the picture along"),
        ("# 一\n\n<script>1</script>", "holds a script"),
        ("沒有題目", "has 0 titles"),
    ],
)
def test_what_would_be_dead_or_ask_another_host_fails(build_site, small, prose, words):
    write_notebook(small, "01_one", prose)
    with pytest.raises(ValueError, match=words):
        made_of(build_site, small)
    assert not (small.parent / "site").exists()


def test_a_site_is_replaced_and_anything_else_is_not(build_site, small, tmp_path):
    out = tmp_path / "out"
    build_site.build(small, out, search=False, explorer=False)
    (out / "old.html").touch()
    build_site.build(small, out, search=False, explorer=False)
    assert not (out / "old.html").exists()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.tex").touch()
    with pytest.raises(ValueError, match="something else"):
        build_site.build(small, theirs, search=False, explorer=False)
    assert [path.name for path in theirs.iterdir()] == ["thesis.tex"]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("https://github.com/someone/backbones", True),
        ("https://github.com/someone/backbones.git\n", True),
        ("git@github.com:someone/backbones.git", True),
        ("ssh://git@github.com/someone/backbones.git", True),
        ("https://example.org/someone/backbones", False),
        ("https://github.com/", False),
        ("/srv/backbones.git", False),
        ("", False),
    ],
)
def test_only_an_address_of_github_names_a_repository(build_site, address, known):
    from website.links import github_repository

    repository = github_repository(address, "main")
    assert (repository is not None) == known
    if repository is not None:
        assert repository.page_of(PurePosixPath("a")) == f"{REPOSITORY}/blob/main/a"


@pytest.mark.parametrize(
    "words",
    [["--repository", "https://example.org/a/b"], ["--out", str(ROOT / "notebooks")]],
)
def test_bad_arguments_are_one_line(build_site, monkeypatch, capsys, words):
    monkeypatch.setattr(sys, "argv", ["build_site.py", "--no-search", *words])
    assert build_site.main() == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: got {words[0]}")
    assert told.count("\n") == 1


# ---- of the real one


@pytest.mark.slow
def test_every_link_and_picture_of_the_site_is_there(real, pages):
    assert len([name for name in pages if name[:2].isdigit()]) == 7
    for name, page in pages.items():
        for tag in page.find_all(href=True):
            parts = urlsplit(tag["href"])
            if parts.scheme:
                continue
            target = parts.path or name
            assert (real / target).is_file(), f"{name}: {tag['href']}"
            if parts.fragment:
                assert pages[target].find(id=unquote(parts.fragment)), f"{name}: {tag['href']}"
        for tag in page.find_all(src=True):
            assert (real / tag["src"]).is_file(), f"{name}: {tag['src']}"


@pytest.mark.slow
def test_pages_ask_no_host_and_link_only_to_those_that_the_sources_name(real, pages):
    sources = [*ROOT.glob("*.md"), *ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("cifarlib/**/*.md")]
    written = "".join(path.read_text(encoding="utf-8") for path in sources)
    for name, page in pages.items():
        for tag in page.find_all(["link", "script", "img", "iframe", "source"]):
            address = tag.get("href") or tag.get("src")
            assert not urlsplit(address).netloc, f"{name}: {address}"
        for link in page.find_all("a", href=True):
            if urlsplit(link["href"]).netloc:
                assert link["href"] in written, f"{name}: {link['href']}"
    assert "http" not in (real / "assets/site.css").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_page_has_one_title_its_landmarks_and_words_for_its_pictures(pages):
    for name, page in pages.items():
        assert page.html["lang"] == "zh-Hant"
        assert len(page.find_all("h1")) == len(page.find_all("main")) == 1, name
        assert page.select_one("a.skip")["href"] == f"#{page.article['id']}"
        assert all(picture["alt"] for picture in page.find_all("img")), name
        levels = [int(heading.name[1]) for heading in page.select("h1, h2, h3, h4")]
        for above, below in itertools.pairwise(levels):
            assert below <= above + 1, f"{name}: a level of headings is passed over"


@pytest.mark.slow
def test_every_english_passage_of_the_notebooks_is_marked(pages):
    for name, page in pages.items():
        if name[:2].isdigit():
            assert page.select("blockquote"), name
            for quote in page.select("blockquote"):
                assert quote.get("lang") == "en", f"{name}: {quote.get_text()[:60]}"
            assert page.h1.select_one("[lang=en]"), name
        assert "$" not in "".join(passage.get_text() for passage in page.select(".prose p")), name


@pytest.mark.slow
def test_the_notebooks_follow_each_other(pages):
    name, seen = "index.html", []
    while name:
        seen.append(name)
        following = pages[name].select_one("a[rel=next]")
        name = following["href"] if following else None
    assert seen == ["index.html", *sorted(name for name in pages if name[0] == "0")]
