"""What 01's game and 02's explorer share.

Both need ipywidgets; where it is not installed they say so.
"""

import base64

import cv2
import numpy as np
from IPython.display import HTML

MISSING = HTML("ipywidgets is not installed: the figure shows the same, without buttons")


def readable(name: str) -> str:
    """Return a class's name as it is read: "pine tree"."""
    return name.replace("_", " ")


def image_tag(picture: np.ndarray, *, width: int) -> str:
    """Return an RGB picture as an HTML tag that holds it, its pixels shown as squares."""
    _, png = cv2.imencode(".png", picture[..., ::-1])  # OpenCV's order is BGR
    content = base64.b64encode(png.tobytes()).decode()
    style = "image-rendering: pixelated"
    return f"<img width={width} style='{style}' src='data:image/png;base64,{content}'>"
