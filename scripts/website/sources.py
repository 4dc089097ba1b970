"""A file of the repository becomes a page: notebooks as committed, and Markdown files."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import CoalesceStreamsPreprocessor, ExtractOutputPreprocessor

HERE = Path(__file__).resolve().parent


@dataclass
class Page:
    """A page of the site: where it comes from, where it goes, and what it holds."""

    source: PurePosixPath  # from the repository's root
    address: str  # from the site's
    article: BeautifulSoup
    pictures: dict[str, bytes] = field(default_factory=dict)  # by their addresses

    @property
    def is_notebook(self) -> bool:
        """Whether the page is made of a notebook."""
        return self.source.suffix == ".ipynb"


class Renderer(IPythonRenderer):
    """nbconvert's Markdown, with formulas as MathML: browsers draw it without a library."""

    def inline_math(self, body: str) -> str:
        """Return a formula within a line."""
        return mathml(body, "inline")

    def block_math(self, body: str) -> str:
        """Return a formula on a line of its own."""
        return mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        """Return an environment as align or matrix."""
        return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


def mathml(formula: str, display: str) -> str:
    r"""Return TeX as MathML.

    Raises ValueError for a command that is not known, which would stay in the page as \command.
    """
    made = convert(formula, display=display)
    if "\\" in made:
        raise ValueError(f"got formula {formula}, which cannot be written in MathML")
    return made


class Exporter(HTMLExporter):
    """nbconvert's HTML of a notebook's cells, with the template beside this file."""

    def __init__(self) -> None:
        super().__init__(template_name="template", extra_template_basedirs=[str(HERE)])
        self.register_preprocessor(CoalesceStreamsPreprocessor, enabled=True)  # as progress bars
        self.register_preprocessor(ExtractOutputPreprocessor, enabled=True)  # figures to files

    @pass_context
    def markdown2html(self, context, source: str) -> str:
        """Return a cell's Markdown as HTML."""
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = Renderer(escape=False, attachments=attachments, exclude_anchor_links=True)
        return MarkdownWithMath(renderer=renderer).render(source)


def read_page(root: Path, source: PurePosixPath, exporter: Exporter) -> Page:
    """Return the page of a notebook or a Markdown file, its links as they are in the file.

    A notebook is never executed: its outputs are the committed ones. A Markdown file is taken for
    a notebook of one cell. Raises ValueError that names the file where it cannot be shown.
    """
    text = (root / source).read_text(encoding="utf-8")
    address = address_of(source)
    figures = f"figures/{address.removesuffix('.html')}"
    try:
        if source.suffix == ".ipynb":
            notebook = nbformat.reads(text, as_version=4)
        else:
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
        html, resources = exporter.from_notebook_node(
            notebook,
            {"unique_key": "figure", "output_files_dir": figures},
        )
    except Exception as error:  # nbformat, nbconvert and the formulas each have their own
        raise ValueError(f"cannot show {source}: {error}") from error
    pictures = {}
    for name, content in resources.get("outputs", {}).items():
        pictures[Path(name).as_posix()] = content
    return Page(source, address, BeautifulSoup(html, "html.parser"), pictures)


def address_of(source: PurePosixPath) -> str:
    """Return a page's address: flat, a folder's README under the folder's name."""
    if source == PurePosixPath("README.md"):
        return "index.html"
    if source.stem == "README":
        return f"{source.parent.name}.html"
    return f"{source.stem}.html"
