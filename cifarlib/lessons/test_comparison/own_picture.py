"""An image of the reader's own: chosen, uploaded or taken, and what the nets see in it."""

import base64
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ...data.arrays import check_image
from ...data.cifar100 import SIDE
from ...data.folder import read_picture, squared
from ...utils.errors import first_line

# what Colab runs in the page: the camera's picture, then after a click a JPEG's address
CAMERA = """
new Promise(async (resolve, reject) => {
  const place = document.createElement("div");
  const video = document.createElement("video");
  const button = document.createElement("button");
  button.textContent = "拍照 · Take the photo";
  button.disabled = true;  // until there is a picture to take
  const clicked = new Promise((pressed) => { button.onclick = pressed; });
  place.append(video, document.createElement("br"), button);
  document.body.append(place);
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({video: true});
    await video.play();
    button.disabled = false;
    await clicked;
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    video.srcObject.getTracks().forEach((track) => track.stop());
    resolve(canvas.toDataURL("image/jpeg", 0.9));
  } catch (error) {
    reject(error);
  } finally {
    place.remove();
  }
})
"""


def look_at(picture: np.ndarray | str | Path, then: Callable[[np.ndarray], Figure]) -> Any:
    """Show what `then` draws of a picture, shrunk to 32×32 as the nets know them.

    picture: uint8 (H, W, 3), a file's path, "upload" for a button (in Colab and Jupyter), or
    "camera" (in Colab). Returns the figure, or None where the picture comes later. Raises
    ValueError for an array or a file that is no picture, and for a camera elsewhere.
    """
    if isinstance(picture, np.ndarray):
        return then(squared(check_image(picture)[None], SIDE)[0])
    if picture == "upload":
        return upload_picture(then)
    if picture == "camera":
        return camera_picture(then)
    return then(read_picture(picture))


def upload_picture(then: Callable[[np.ndarray], Figure]) -> None:
    """Ask for a picture, in Colab or Jupyter, and show what `then` draws of it, shrunk to 32×32."""
    if "google.colab" in sys.modules:
        from google.colab import files

        for content in files.upload().values():
            then(read_picture(io.BytesIO(content)))
        return
    _upload_in_jupyter(then)


def _upload_in_jupyter(then: Callable[[np.ndarray], Figure]) -> None:
    """Show a button; what is uploaded is answered below it."""
    import ipywidgets
    from IPython.display import display

    button = ipywidgets.FileUpload(accept="image/*")
    shown = ipywidgets.Output()

    def uploaded(change: dict[str, Any]) -> None:
        shown.clear_output()
        with shown:
            for file in change["new"]:
                answer = then(read_picture(io.BytesIO(file["content"])))
                display(answer)
                plt.close(answer)  # or the next cell would show it again

    button.observe(uploaded, "value")
    display(button, shown)


def camera_picture(then: Callable[[np.ndarray], Figure]) -> Figure:
    """Take a photo, in Colab, and show what `then` draws of it, shrunk to 32×32.

    Raises ValueError elsewhere, or where the browser gives no camera.
    """
    if "google.colab" not in sys.modules:
        raise ValueError('the camera is asked for in Colab only: use "upload" here')
    from google.colab import output

    try:
        address = output.eval_js(CAMERA)
    except Exception as error:  # what the browser says of a camera that is not there, or not given
        raise ValueError(f"no photo from the camera: {first_line(error)}") from None
    content = base64.b64decode(address.partition(",")[2])
    return then(read_picture(io.BytesIO(content)))
