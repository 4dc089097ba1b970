"""What a page's HTML is told beyond its source: languages, headings, tables, figures."""

import re
import struct
from dataclasses import dataclass

from bs4 import BeautifulSoup, NavigableString, Tag

from .sources import Page

CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
WORD = re.compile(r"[A-Za-z]{2,}")
DIGEST = re.compile(r"figure: ([\d,]+) panels, ([\d,]+) numbers, [0-9a-f]+")
HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]
BLOCKS = [*HEADINGS, "p", "li", "th", "td", "summary"]
DOT = " · "  # stands between Chinese and English in a heading


@dataclass(frozen=True)
class Entry:
    """A line of a table of contents."""

    level: int
    anchor: str
    chinese: str
    english: str  # empty where the heading has none


def mark_page(page: Page) -> None:
    """Do all that follows to a page.

    Raises ValueError for a page without exactly one title, or with a script of its own, which
    could ask another host for something.
    """
    article = page.article
    if article.find("script"):
        raise ValueError(f"{page.source} holds a script; the site's pages run none but its own")
    join_title(article)
    if len(article.find_all("h1")) != 1:
        raise ValueError(f"{page.source} has {len(article.find_all('h1'))} titles, expected one")
    raise_first_sections(article)
    name_headings(article)
    mark_languages(article)
    clean_outputs(article)
    describe_figures(page)
    frame_tables(article)


def join_title(article: BeautifulSoup) -> None:
    """Write a title whose English stands on a line or in a heading of its own as 中文 · English."""
    title = article.find("h1")
    if title is None:
        return
    line_break = title.find("br")
    if line_break is not None:
        line_break.replace_with(DOT)
    below = title.find_next_sibling()
    if below is not None and below.name == "h2" and not CHINESE.search(below.get_text()):
        title.append(DOT + below.get_text())
        below.decompose()
    title.smooth()


def raise_first_sections(article: BeautifulSoup) -> None:
    """Make h2 of each h3 that no h2 comes before, so that no level is passed over."""
    for heading in article.find_all(["h2", "h3"]):
        if heading.name == "h2":
            return
        heading.name = "h2"


def name_headings(article: BeautifulSoup) -> None:
    """Give each heading the anchor that Jupyter gives it; the second of a name gets a number."""
    seen: dict[str, int] = {}
    for heading in article.find_all(HEADINGS):
        anchor = heading.get_text().strip().replace(" ", "-")
        seen[anchor] = seen.get(anchor, 0) + 1
        if seen[anchor] > 1:
            anchor = f"{anchor}-{seen[anchor]}"
        heading["id"] = anchor


def mark_languages(article: BeautifulSoup) -> None:
    """Mark what is English: class `english` is what the reader may hide, a translation."""
    for quote in article.select(".prose blockquote"):
        text = quote.get_text()
        if len(CHINESE.findall(text)) < len(WORD.findall(text)):
            quote["lang"] = "en"
            quote["class"] = "english"
    for block in article.select(", ".join(f".prose {name}" for name in BLOCKS)):
        if block.find_parent("blockquote"):
            continue
        if is_english(text_without_code(block)):
            block["lang"] = "en"  # but no translation of anything
        else:
            mark_second_half(block)


def text_without_code(block: Tag) -> str:
    """Return a block's words; code is in no language."""
    strings = block.find_all(string=True)
    return "".join(text for text in strings if text.find_parent("code") is None)


def is_english(text: str) -> bool:
    """Return whether a text holds English words and no Chinese."""
    return bool(WORD.search(text)) and not CHINESE.search(text)


def mark_second_half(block: Tag) -> None:
    """Mark the English of a block of the form 中文 · English.

    A block with several dots is prose that mixes both; where the English holds code, a command
    say, it is marked but is not to be hidden.
    """
    dots = [text for text in block.find_all(string=True, recursive=False) if DOT in text]
    if len(dots) != 1 or dots[0].count(DOT) != 1:
        return
    chinese, _, english = dots[0].partition(DOT)
    rest = list(dots[0].next_siblings)
    words = english + "".join(part.get_text() for part in rest)
    if not is_english(words):
        return
    span = new_tag("span", lang="en")
    dot = new_tag("span", **{"class": "dot"})
    dot.string = DOT
    span.append(dot)
    span.append(english)
    for part in rest:
        span.append(part.extract())
    if not span.find("code"):
        span["class"] = "english"
    dots[0].replace_with(NavigableString(chinese), span)


def clean_outputs(article: BeautifulSoup) -> None:
    """Drop the styles that libraries write into outputs, and what is no news for the search."""
    for output in article.select(".output"):
        output["data-pagefind-ignore"] = ""
        for style in output.find_all("style"):
            style.decompose()
        for code in output.select(".output_html"):  # a piece of code, shown by IPython
            code["class"] = "highlight"


def describe_figures(page: Page) -> None:
    """Give each figure its size, and an alternative text from its section and its digest."""
    for number, picture in enumerate(page.article.select(".output img"), start=1):
        section = picture.find_previous(HEADINGS)
        words = f"圖 {number}：{halves(section)[0]}" if section else f"圖 {number}"
        digest = DIGEST.fullmatch(str(picture["alt"]))
        if digest is not None:
            words += f"（{digest[1]} 格、{digest[2]} 個數字；說明在前後文）"
        picture["alt"] = words
        # known beforehand, so that the text below does not jump when the figure comes
        content = page.pictures[str(picture["src"])]
        picture["width"], picture["height"] = map(str, png_size(content))
        picture["decoding"] = "async"


def png_size(content: bytes) -> tuple[int, int]:
    """Return width and height, which every PNG holds at the same place."""
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def frame_tables(article: BeautifulSoup) -> None:
    """Let a wide table scroll in a frame of its own, by keyboard too, rather than the page."""
    for table in article.find_all("table"):
        for attribute in ("border", "class"):
            del table[attribute]
        frame = new_tag("div", tabindex="0", role="group", **{"class": "table"})
        frame["aria-label"] = "表格 table"
        table.wrap(frame)


def contents(article: BeautifulSoup) -> list[Entry]:
    """Return the table of contents: sections and what is right below them."""
    entries = []
    for heading in article.find_all(["h2", "h3"]):
        chinese, english = halves(heading)
        entries.append(Entry(int(heading.name[1]), str(heading["id"]), chinese, english))
    return entries


def halves(heading: Tag) -> tuple[str, str]:
    """Return a marked heading's Chinese and English; the second is empty where it has but one."""
    english = heading.select_one(".english")
    if english is None:
        return heading.get_text().strip(), ""
    words = english.get_text()
    return heading.get_text().removesuffix(words).strip(), words.removeprefix(DOT)


def new_tag(name: str, **attributes: str) -> Tag:
    """Return a new element."""
    return BeautifulSoup("", "html.parser").new_tag(name, attrs=attributes)
