"""Measure the page for review with many groups: how long it takes to write, to open and to scroll.

    python tests/benchmarks/review.py [--groups 10000] [--pictures 2000] [--seconds 20]
    python tests/benchmarks/review.py --page review.html

The groups have two to five files, which are hard links to generated pictures of 640 x 480 pixels.
Each has a thumbnail of its own. The page is opened from its file in Chromium, without a
network. A PerformanceObserver reports each task of the main thread that takes longer than 50 ms:
while the page is opened, while it is scrolled by the wheel and by jumps, and for each other use.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
from measuring import heading

import photodna_nb as pdna
from photodna_nb.report import write_review

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from browsers import BROWSER, opened_browser

OBSERVE = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longTasks.push([entry.startTime, entry.duration]);
}).observe({type: "longtask", buffered: true});
window.frames_ = [];
const frame = (now) => { window.frames_.push(now); requestAnimationFrame(frame); };
requestAnimationFrame(frame);
"""
WIDTHS = {"1280 px": (1280, 900), "360 px": (360, 780)}


def groups_of_links(folder: Path, n_groups: int, n_pictures: int) -> pdna.DuplicateGroups:
    """Return groups of files that are links to generated pictures."""
    pictures = []
    for original in pdna.datasets.dead_leaves(n_pictures, size=(640, 480)):
        pictures.append(folder / f"{len(pictures)}.jpg")
        original.open().save(pictures[-1], quality=85)
    rng = np.random.default_rng(0)
    sizes = rng.choice([2, 3, 4, 5], n_groups, p=[0.6, 0.25, 0.1, 0.05])
    number = np.arange(sizes.sum())
    paths = []
    for i in number.tolist():
        place = folder / f"camera {i % 40}" / f"day {i % 7}"
        place.mkdir(parents=True, exist_ok=True)
        paths.append(str(place / f"IMG_{i:06d}.jpg"))
        os.link(pictures[i % n_pictures], paths[-1])
    status = [os.stat(path) for path in paths]
    table = pdna.HashTable(
        paths,
        np.zeros((len(paths), 144), np.uint8),
        np.full(len(paths), 1000.0),
        file_status=np.array([(one.st_size, one.st_mtime_ns) for one in status]),
        image_size=np.full((len(paths), 2), (640, 480), np.int32),
    )
    distance = rng.uniform(0, 100, len(paths))
    distance[np.cumsum(sizes) - sizes] = np.nan
    widest = rng.uniform(50, 120, n_groups)
    return pdna.DuplicateGroups(
        table,
        np.repeat(np.arange(n_groups), sizes),
        number,
        distance,
        np.zeros(len(paths), np.int8),
        widest,
        widest > 100,
        np.empty(0, np.int64),
        100.0,
        "euclidean",
    )


def long_tasks(page: Any) -> str:
    """Return number and longest of the tasks of over 50 ms since the last call."""
    page.wait_for_timeout(300)
    tasks = page.evaluate(
        "() => { const tasks = window.longTasks; window.longTasks = []; return tasks; }"
    )
    return f"{len(tasks)}" + (f", longest {max(t[1] for t in tasks):.0f} ms" if tasks else "")


def frames(page: Any) -> str:
    """Return how long frames took since the last call."""
    times = np.diff(
        page.evaluate("() => { const f = window.frames_; window.frames_ = []; return f; }")
    )
    return f"{np.median(times):.0f} ms, 99 % below {np.quantile(times, 0.99):.0f} ms"


def scrolled(page: Any, seconds: float) -> None:
    """Scroll by the wheel for so long."""
    end = time.monotonic() + seconds
    page.mouse.move(200, 500)
    while time.monotonic() < end:
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(16)


def measured(page: Any, seconds: float) -> list[tuple[str, str]]:
    """Return what was measured on an opened page."""
    paint = page.wait_for_function(
        "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    ).json_value()
    ready = page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart")
    rows = [
        ("first contentful paint", f"{paint:.0f} ms"),
        ("loaded", f"{ready:.0f} ms"),
        ("long tasks while it opens", long_tasks(page)),
    ]
    frames(page)
    scrolled(page, seconds)
    rows.append((f"long tasks in {seconds:.0f} s of scrolling by the wheel", long_tasks(page)))
    rows.append(("a frame while scrolling", frames(page)))
    rng = np.random.default_rng(1)
    for part in rng.uniform(0, 1, 50).tolist():
        page.evaluate("part => scrollTo(0, part * document.documentElement.scrollHeight)", part)
        page.wait_for_timeout(50)
    rows.append(("long tasks in 50 jumps", long_tasks(page)))
    page.locator("h1").click()
    for _ in range(100):
        page.keyboard.press("n")
        page.keyboard.press(" ")
    rows.append(("long tasks in 100 groups by the keyboard, each ticked", long_tasks(page)))
    page.locator("#filters > summary").click()
    page.locator("#search").press_sequentially("img_0012", delay=100)
    rows.append(("long tasks of a search, letter by letter", long_tasks(page)))
    page.locator("#search").fill("")
    page.wait_for_timeout(500)
    page.locator("#order").select_option("far")
    rows.append(("long tasks of another order", long_tasks(page)))
    page.get_by_role("button", name="Tick", exact=True).click()
    rows.append(("long tasks of ticking all but the first of each group", long_tasks(page)))
    rows.append(
        ("elements in the document", f"{page.evaluate('document.querySelectorAll(`*`).length'):,}")
    )
    return rows


def main() -> None:
    """Print a table."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--pictures", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    if BROWSER is None:
        parser.error("Chromium is needed: apt install chromium")
    print(heading())
    with tempfile.TemporaryDirectory() as folder:
        page = given.page or written(Path(folder), given.groups, given.pictures)
        print_measured(page, given.seconds)


def written(folder: Path, n_groups: int, n_pictures: int) -> Path:
    """Return the path of a page of so many groups, after it is written."""
    groups = groups_of_links(folder, n_groups, n_pictures)
    begun = time.perf_counter()
    path = Path(write_review(groups, folder / "review.html"))
    seconds = time.perf_counter() - begun
    thumbnails = [file.stat().st_size for file in folder.glob("review_files/*/*.jpg")]
    print(f"{n_groups:,} groups, {len(groups):,} pictures: written in {seconds:.0f} s")
    print(f"page: {path.stat().st_size / 1e6:.1f} MB")
    print(f"thumbnails: {len(thumbnails):,}, {sum(thumbnails) / 1e6:.0f} MB\n")
    return path


def print_measured(path: Path, seconds: float) -> None:
    """Print a table of what was measured in two widths."""
    columns = []
    with opened_browser() as browser:
        print(f"Chromium {browser.version}\n")
        for width, height in WIDTHS.values():
            context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
            context.add_init_script(OBSERVE)
            page = context.new_page()
            page.goto(path.resolve().as_uri())
            columns.append(measured(page, seconds))
            context.close()
    print("| | " + " | ".join(WIDTHS) + " |\n|" + "---|" * (len(WIDTHS) + 1))
    for cells in zip(*columns, strict=True):
        print("| " + " | ".join([cells[0][0], *(value for _, value in cells)]) + " |")


if __name__ == "__main__":
    main()
