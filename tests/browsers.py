"""A real browser for the tests: Debian's Chromium, driven by playwright."""

import os
import shutil
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT

BROWSERS = "chromium", "chromium-browser", "google-chrome", "chrome"
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)


def needs_browser(*modules):
    """Return the mark of tests that are skipped without these modules, playwright or a browser."""
    missing = [name for name in ("playwright", *modules) if not find_spec(name)]
    missing += ["a browser (apt install chromium)"] * (BROWSER is None)
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def artifacts():
    """Return the folder of screenshots."""
    folder = Path(os.environ.get("CI_ARTIFACTS") or ROOT / ".ci" / "artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def opened_browser():
    """Yield the browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER,
            # Chromium has no sandbox for root, as whom CI often runs, and /dev/shm may be small.
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        try:
            yield browser
        finally:
            browser.close()


def complaints_of(page):
    """Return a list that grows by what a page complains of."""
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    return complaints
