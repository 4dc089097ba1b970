"""The explorer: one page that needs no server, with every curve, score, answer and test picture."""

import base64
import hashlib
import html
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...data import hub
from ...data.cifar100 import ImageSet, load_cifar100
from ...data.locate import data_in_words, is_at_hand
from ...experiments.record import Run
from ...utils.files import ensure_folder, expanded, write_bytes
from .data import PAGE, explored_runs, explorer_data
from .sprite import best_webp, sprite_sheet

if TYPE_CHECKING:
    from IPython.display import HTML, IFrame

MOST_BYTES = 3_000_000  # of the page
COLUMNS = 100  # of the sprite
# in the order in which they are read: later ones use what earlier ones define
SCRIPTS = ("base.js", "curves.js", "scores.js", "pictures.js", "confusion.js", "start.js")
# why a page has no pictures, and what to do: a sentence in Chinese and one in English
NONE_AT_HAND = (
    "這一頁沒有圖片，因為製作時手邊沒有 CIFAR-100："
    "先執行 python -m cifarlib data 下載，再重新製作這一頁。",
    "This page has no pictures, for CIFAR-100 was not at hand when it was made:"
    " run python -m cifarlib data to download it, then make the page again.",
)
NOT_CIFAR100 = (
    "這一頁沒有圖片，因為製作時用的不是真正的 CIFAR-100："
    "把 cifar-100-python/ 放進 data/ 或 CIFARLIB_DATA 指的資料夾，再重新製作這一頁。",
    "This page has no pictures, for it was made with others than true CIFAR-100: put"
    " cifar-100-python/ into data/ or the folder that CIFARLIB_DATA names, then make it again.",
)


def write_explorer(
    path: str | Path,
    *,
    data: ImageSet | None = None,
    runs: Iterable[Run] | None = None,
    home: str | None = None,
    most_bytes: int = MOST_BYTES,
) -> Path:
    """Write the explorer to an HTML file, whole or not at all, and return where it is.

    data: the test split, where it is loaded already; by default it is loaded if it is at hand, for
    nothing is downloaded unasked. Without true CIFAR-100 the page has no pictures, and says why and
    what to do. runs: by default see explored_runs; all on the same test pictures. home: the
    address that a link at the top leads back to; without one there is no such link. most_bytes: the
    file's, which decides how good the pictures look. Raises ValueError for a folder as path, where
    it cannot be written, where CIFARLIB_DATA names a folder without pictures, or where all does not
    fit into most_bytes.
    """
    path = expanded(path)
    if path.is_dir():
        raise ValueError(f"got folder {path}, expected a file's name, such as explorer.html")
    ensure_folder(path.parent)
    if runs is None:
        runs = explored_runs()
    facts = explorer_data(list(runs))
    if data is None:
        data = _pictures_at_hand()
    if data is None:
        facts["why_none"] = NONE_AT_HAND
        sprite = ""
    elif not data.is_cifar100:
        facts["why_none"] = NOT_CIFAR100
        sprite = ""
    else:
        facts["pictures"] = _picture_facts(data, facts["n"])
        room = most_bytes - len(_page(facts, "", home).encode())
        sprite = _sprite(data, room)
    content = _page(facts, sprite, home).encode()
    if len(content) > most_bytes:
        raise ValueError(f"the page has {len(content):,} bytes, expected {most_bytes:,} at most")
    write_bytes(path, content)
    return path


def explorer_frame(path: str | Path, *, height: int = 900) -> "IFrame | HTML":
    """Return the explorer for a notebook to show, `height` pixels high.

    The frame names the file relative to the working folder, which is the notebook's; in Colab,
    where such an address leads nowhere, it holds the page itself. Raises ValueError where there is
    no such file.
    """
    from IPython.display import HTML, IFrame  # only notebooks need it

    path = expanded(path)
    if not path.is_file():
        raise ValueError(f"there is no {path}: write_explorer makes it")
    if "google.colab" in sys.modules:
        page = html.escape(path.read_text(encoding="utf-8"))
        size = f'width="100%" height="{height}" frameborder="0"'
        # in a <div>, for IPython warns of HTML that is a frame and nothing else
        return HTML(f'<div><iframe title="explorer" {size} srcdoc="{page}"></iframe></div>')
    address = Path(os.path.relpath(path)).as_posix()
    return IFrame(address, width="100%", height=height, extras=['title="explorer"'])


# --- pictures -------------------------------------------------------------------------------------


def _pictures_at_hand() -> ImageSet | None:
    """Return the test split if nothing must be downloaded for it, else None.

    Raises ValueError where a place was named and holds none.
    """
    data_in_words()  # raises for such a place, which is a slip rather than a wish for no pictures
    if not is_at_hand() and hub.cached_hub_file("test") is None:
        return None
    return load_cifar100("test")


def _picture_facts(data: ImageSet, n: int) -> dict[str, int]:
    """Return how the sprite is laid out. n: how many test pictures the runs answered, 0 for none.

    Raises ValueError where there are others than those.
    """
    if n not in (0, len(data)):
        raise ValueError(f"got {len(data):,} pictures, expected the {n:,} that the runs answered")
    return {"side": data.images.shape[1], "columns": COLUMNS, "n": len(data)}


def _sprite(data: ImageSet, room: int) -> str:
    """Return all pictures in one image, as base64 of WebP that leaves its tag within `room`."""
    # base64 makes four characters of three bytes
    most_bytes = (room - len(_sprite_tag(" "))) // 4 * 3
    return base64.b64encode(best_webp(sprite_sheet(data.images, COLUMNS), most_bytes)).decode()


# --- the page -------------------------------------------------------------------------------------


def _page(facts: dict[str, Any], sprite: str, home: str | None) -> str:
    """Return the page's HTML. sprite: the pictures as base64 of WebP, or ""."""
    style = _read("page.css")
    script = "\n".join(_read(name) for name in SCRIPTS)
    parts = {
        "policy": _policy(style, script),
        "style": style,
        "script": script,
        "home": _home_link(home),
        "facts": _json_for_html(facts),
        "sprite": _sprite_tag(sprite),
    }
    # split rather than replaced one after another, for a part may hold another's mark
    page = ""
    for piece in _read("page.html").split("{{"):
        name, closing, rest = piece.partition("}}")
        page += parts[name] + rest if closing else piece
    return page


def _read(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy: the page's own script and style, and no address at all."""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none';"
        f" script-src {_hash(script)}; style-src {_hash(style)}"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json_for_html(facts: dict[str, Any]) -> str:
    """Return JSON that can stand in a <script>: no "<" could end it."""
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _home_link(home: str | None) -> str:
    """Return the link back, which leaves a frame that the page may stand in."""
    if home is None:
        return ""
    words = '回教學首頁 <span lang="en">Back to the series</span>'
    return f'<a class="home" href="{html.escape(home)}" target="_top">← {words}</a>'


def _sprite_tag(sprite: str) -> str:
    if not sprite:
        return ""
    return f'<img id="sprite" alt="" hidden src="data:image/webp;base64,{sprite}">'
