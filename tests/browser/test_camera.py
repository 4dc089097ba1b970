"""The camera's part of notebook 05, as Colab would run it in the page."""

import base64
import io

from PIL import Image

from cifarlib.lessons.test_comparison.own_picture import CAMERA


def test_a_click_takes_a_photo_and_clears_the_place(open_page, tmp_path):
    place = tmp_path / "colab.html"
    place.write_text("<!doctype html><title>Colab</title>", encoding="utf-8")
    page = open_page(place.as_uri()).page
    page.set_default_timeout(20_000)
    page.evaluate(f"() => {{ window.photo = {CAMERA}; }}")
    page.get_by_role("button", name="Take the photo").click()
    address = page.evaluate("() => window.photo")
    assert page.get_by_role("button").count() == 0
    photo = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert photo.format == "JPEG"
    assert min(photo.size) >= 100
