"""Draw the picture of the page for review in docs/review.md, with Chromium.

python data/draw_review.py    # data/figures/review.png
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

import photodna_nb as pdna

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from browsers import opened_browser

DATA = Path(__file__).resolve().parent
# When the copies of the pictures were changed, by their dates.
MODIFIED = 1_790_000_000


def main() -> None:
    """Write the picture: the page of the sample pictures, with two ticks."""
    with tempfile.TemporaryDirectory() as name, opened_browser() as browser:
        os.chdir(name)
        shutil.copytree(DATA / "pictures", "pictures")
        for path in Path("pictures").iterdir():
            os.utime(path, (MODIFIED, MODIFIED))
        table = pdna.hash_directory("pictures")
        page_path = pdna.report.write_review(
            pdna.duplicates(table, orientations=True), Path(name) / "review.html"
        )
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, timezone_id="UTC", offline=True
        )
        page = context.new_page()
        page.goto(Path(page_path).as_uri())
        for key in ("j", "j", "j", " ", "j", " "):
            page.keyboard.press(key)
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(1000)
        with Image.open(io.BytesIO(page.screenshot())) as image:
            image.quantize(256).save(DATA / "figures" / "review.png", optimize=True)


if __name__ == "__main__":
    main()
