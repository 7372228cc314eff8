"""Measure the page for review with many groups: how long it takes to write, to open and to scroll.

    python tests/benchmarks/review.py [--groups 10000] [--pictures 2000] [--seconds 20]
    python tests/benchmarks/review.py --page review.html

The groups have two to five files, which are hard links to generated pictures of 640 x 480 pixels.
Each has a thumbnail of its own. The page is opened from its file in Chromium, without a network. A
PerformanceObserver reports each task of the main thread that takes longer than 50 ms, and a trace
the processor time of the longest one: while the page is opened, while it is scrolled by the wheel
and by jumps, and in each other use.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable
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
  window.longTasks.push(...list.getEntries().map((entry) => entry.duration));
}).observe({type: "longtask", buffered: true});
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


def opens(page: Any, path: Path) -> None:
    """Open the page."""
    page.goto(path.resolve().as_uri())
    page.locator("#groups[aria-busy=false]").wait_for(state="attached")


def scrolls(page: Any, seconds: float) -> None:
    """Scroll by the wheel for so long."""
    end = time.monotonic() + seconds
    page.mouse.move(200, 500)
    while time.monotonic() < end:
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(16)


def jumps(page: Any) -> None:
    """Scroll to places anywhere on the page, as its scroll bar does."""
    for part in np.random.default_rng(1).uniform(0, 1, 50).tolist():
        page.evaluate("part => scrollTo(0, part * document.documentElement.scrollHeight)", part)
        page.wait_for_timeout(50)


def ticks(page: Any) -> None:
    """Go through groups by the keyboard, and tick a picture of each."""
    page.locator("h1").click()
    for _ in range(100):
        page.keyboard.press("n")
        page.keyboard.press(" ")


def searches(page: Any) -> None:
    """Search, letter by letter."""
    page.locator("#filters > summary").click()
    page.locator("#search").press_sequentially("img_0012", delay=200)
    page.wait_for_timeout(300)
    page.locator("#search").fill("")


def sorts(page: Any) -> None:
    """Show the groups in another order."""
    page.locator("#order").select_option("far")


def ticks_all(page: Any) -> None:
    """Tick all but the first of each group."""
    page.get_by_role("button", name="Tick", exact=True).click()


def measured(browser: Any, page: Any, path: Path, seconds: float) -> dict[str, str]:
    """Return what was measured in each use of a page.

    The observer counts the time for which a task waits for a processor, too; the trace does not.
    """
    uses: dict[str, Callable[[], None]] = {
        "open the page": lambda: opens(page, path),
        f"{seconds:g} s of scrolling by the wheel": lambda: scrolls(page, seconds),
        "50 jumps of the scroll bar": lambda: jumps(page),
        "100 groups by the keyboard, each ticked": lambda: ticks(page),
        "search, letter by letter": lambda: searches(page),
        "another order": lambda: sorts(page),
        "tick all but the first of each group": lambda: ticks_all(page),
    }
    results = {}
    for use, call in uses.items():
        browser.start_tracing(page=page, categories=["toplevel"])
        call()
        page.wait_for_timeout(500)
        longest = longest_task(browser.stop_tracing())
        tasks = page.evaluate("() => window.longTasks.splice(0)")
        observed = f"{len(tasks)}" + (f", up to {max(tasks):.0f} ms" if tasks else "")
        results[use] = f"{longest:.0f} ms; {observed}"
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    number = page.evaluate("document.querySelectorAll('*').length")
    return {"first contentful paint": f"{paint:.0f} ms", **results, "elements": f"{number:,}"}


def longest_task(trace: bytes) -> float:
    """Return the processor time of the longest task of the main thread, in milliseconds."""
    events = json.loads(trace)["traceEvents"]
    named = [event for event in events if event["name"] == "thread_name"]
    main = {
        (event["pid"], event["tid"]) for event in named if event["args"]["name"] == "CrRendererMain"
    }
    return max(
        event["tdur"] / 1000
        for event in events
        if event["name"].endswith("RunTask")
        and "tdur" in event
        and (event["pid"], event["tid"]) in main
    )


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
    begun, begun_process = time.perf_counter(), time.process_time()
    path = Path(write_review(groups, folder / "review.html"))
    seconds, of_processors = time.perf_counter() - begun, time.process_time() - begun_process
    thumbnails = [file.stat().st_size for file in folder.glob("review_files/*/*.jpg")]
    print(
        f"{n_groups:,} groups, {len(groups):,} pictures: written in {seconds:.0f} s, "
        f"{of_processors:.0f} s of processor time"
    )
    print(f"page: {path.stat().st_size / 1e6:.1f} MB")
    print(f"thumbnails: {len(thumbnails):,}, {sum(thumbnails) / 1e6:.0f} MB\n")
    return path


def print_measured(path: Path, seconds: float) -> None:
    """Print a table of what was measured in two widths."""
    columns = []
    with opened_browser() as browser:
        print(
            f"Chromium {browser.version}. Longest task by its processor time; long tasks observed\n"
        )
        for width, height in WIDTHS.values():
            context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
            context.add_init_script(OBSERVE)
            columns.append(measured(browser, context.new_page(), path, seconds))
            context.close()
    print("| | " + " | ".join(WIDTHS) + " |\n|" + "---|" * (len(WIDTHS) + 1))
    for use in columns[0]:
        print("| " + " | ".join([use, *(column[use] for column in columns)]) + " |")


if __name__ == "__main__":
    main()
