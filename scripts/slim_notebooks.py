"""Make executed notebooks small enough to commit: figures in 256 colours, bars as they ended.

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


def with_bars_as_they_ended(outputs: list[dict]) -> list[dict]:
    """Return a cell's outputs with what a bar drew over itself left out."""
    printed = "".join("".join(one["text"]) for one in outputs if is_printed(one))
    if "\r" not in printed:
        return outputs
    lines = [line.rpartition("\r")[2] for line in printed.strip("\n").split("\n")]
    others = [output for output in outputs if not is_printed(output)]
    said = "\n".join(lines) + "\n"
    return [{"name": "stdout", "output_type": "stream", "text": [said]}, *others]


def is_printed(output: dict) -> bool:
    """Return whether an output was printed, as bars are in a notebook."""
    return output.get("name") == "stdout"


def slim(notebook: dict) -> None:
    """Shrink a notebook's outputs in place."""
    for cell in notebook["cells"]:
        cell["metadata"].pop("execution", None)  # when it was run is no news
        if "outputs" in cell:
            cell["outputs"] = with_bars_as_they_ended(cell["outputs"])
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
