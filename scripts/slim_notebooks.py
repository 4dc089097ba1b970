"""Make executed notebooks small enough to commit: figures in 256 colours, no execution times.

python scripts/slim_notebooks.py notebooks/*.ipynb
"""

import argparse
import base64
import io
import json
import sys
from pathlib import Path

from PIL import Image

from cifarlib.utils.files import atomic_path

COLORS = 256


def slim_png(encoded: str) -> str:
    """Return a PNG (base64) with a palette in place of true colours."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    if picture.mode == "P":
        return encoded
    # figures stand on white; dithering would make small text ragged and the file larger
    paper = Image.new("RGBA", picture.size, "white")
    flat = Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")
    palette = flat.quantize(COLORS, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def slim(notebook: dict) -> None:
    """Shrink a notebook's outputs in place."""
    for cell in notebook["cells"]:
        cell["metadata"].pop("execution", None)  # when it was run is no news
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = slim_png("".join(data["image/png"]))


def main() -> int:
    """Slim the named notebooks; bad input gives one line and exit code 2."""
    parser = argparse.ArgumentParser(description="Make executed notebooks small enough to commit.")
    parser.add_argument("paths", nargs="+", type=Path, help="Rewrite these notebooks.")
    asked = parser.parse_args()
    for path in asked.paths:
        try:
            notebook = json.loads(path.read_text(encoding="utf-8"))
            slim(notebook)
            text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except (OSError, ValueError, KeyError) as error:
            print(f"error: cannot slim {path}: {error}", file=sys.stderr)
            return 2
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
