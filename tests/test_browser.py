"""Notebook 04 in a real browser: opened, run, its slider moved, its last cells run again."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress

import pytest
from browsers import artifacts, complaints_of, needs_browser, opened_browser
from conftest import JIT_OFF, ROOT, needs

NOTEBOOK = "04_threshold_tuning.ipynb"
pytestmark = [
    pytest.mark.notebook,
    needs_browser("jupyterlab", "ipywidgets"),
    pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly"),
]


@contextmanager
def jupyter(folder, home):
    """Yield the address of a JupyterLab of its own, with its settings in `home`."""
    token = secrets.token_hex(16)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    places = {name: str(home / name.lower()) for name in own}
    places["JUPYTERLAB_SETTINGS_DIR"] = str(home / "settings")
    places["JUPYTERLAB_WORKSPACES_DIR"] = str(home / "workspaces")
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": folder,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": token,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", *flags]
    log = home / "jupyterlab.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | places,
            start_new_session=True,  # with its kernels
        )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(900):
            assert server.poll() is None, log.read_text("utf-8")
            with suppress(OSError), urllib.request.urlopen(f"{address}/api", timeout=5):
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"JupyterLab did not answer:\n{log.read_text('utf-8')}")
        yield f"{address}/lab/tree/{NOTEBOOK}?reset&token={token}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def copied(folder):
    """Copy the notebook, with what lies beside it, without outputs; return how many cells run."""
    nbformat = pytest.importorskip("nbformat")
    shutil.copytree(ROOT / "notebooks", folder, ignore=shutil.ignore_patterns(".*", "__*"))
    (folder.parent / "data").symlink_to(ROOT / "data")  # its pictures are labelled there
    notebook = nbformat.read(folder / NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        cell.update(outputs=[], execution_count=None)
    nbformat.write(notebook, folder / NOTEBOOK)
    assert len(cells) >= 8
    return len(cells)


def settle(home):
    """Choose that nothing is asked of the outside."""
    folder = home / "settings" / "@jupyterlab" / "apputils-extension"
    folder.mkdir(parents=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    (folder / "notification.jupyterlab-settings").write_text(json.dumps(news))


@contextmanager
def opened(folder):
    """Yield a page with the notebook, all cells run, and a list of what the page complained of."""
    home = folder / "home"
    home.mkdir()
    cells = copied(folder / "notebooks")
    settle(home)
    with jupyter(folder / "notebooks", home) as address, opened_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1200})
        page.set_default_timeout(60_000)
        complaints = complaints_of(page)
        page.goto(address)
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        prompts = page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt")
        prompts.filter(has_text=f"[{cells}]:").wait_for(state="attached", timeout=400_000)
        yield page, complaints


def settled(read, page, seconds=20):
    """Return what is read, once it is something and stays the same for half a second."""
    before, since = None, time.monotonic()
    end = since + seconds
    while time.monotonic() < end:
        now = read()
        if now != before:
            before, since = now, time.monotonic()
        elif now and time.monotonic() - since > 0.5:
            return now
        page.wait_for_timeout(50)
    pytest.fail(f"it did not come to rest in {seconds} s: {before!r:.300}")
    raise AssertionError


def changed(read, old, page, seconds=20):
    """Return what is read, once it is something else and has come to rest."""
    end = time.monotonic() + seconds
    while read() == old and time.monotonic() < end:
        page.wait_for_timeout(50)
    now = settled(read, page)
    assert now != old
    return now


def run_from(page, part):
    """Run the cell that holds a text and all below; return what the first of them prints."""
    last = page.locator(".jp-CodeCell").last.locator(".jp-InputPrompt")
    before = last.inner_text()
    cell = page.locator(".jp-CodeCell").filter(has_text=part)
    cell.locator(".jp-InputPrompt").click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run Selected Cell and All Below", exact=True).click()

    def done():
        return (now := last.inner_text()) != before and "*" not in now and now

    assert settled(done, page, seconds=90)
    return cell.locator(".jp-OutputArea").inner_text()


@needs("signals")
def test_threshold_tuning(tmp_path):
    with opened(tmp_path) as (page, complaints):
        tuner = page.locator(".photodna-tuner")
        tuner.scroll_into_view_if_needed()
        slider = tuner.get_by_role("slider")
        figure = tuner.locator("img.photodna-tuner-figure")
        images = tuner.locator(".groups")

        def numbers():
            return tuner.locator("table[aria-live]").inner_text()

        def drawn():  # a new address for each image
            return figure.get_attribute("src")

        def threshold():
            return int(float(slider.get_attribute("aria-valuenow")))

        first, line, at = settled(numbers, page), drawn(), threshold()
        assert f"L2 ≤ {at}" in first
        assert "False matches per day" in first

        slider.focus()
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        # On a busy machine, the numbers of each step can stay for a while.
        second = settled(lambda: f"L2 ≤ {at + 5}" in (now := numbers()) and now, page)
        assert drawn() != line
        assert page.evaluate("image => image.naturalWidth", figure.element_handle()) > 500

        # A target, and the threshold follows: the notebook begins with the acceptable number.
        target, problem = tuner.get_by_label("Target, at most"), tuner.locator(".problem")
        target.select_option(label="1 false match per day")
        third = changed(numbers, second, page)
        assert threshold() == at
        assert third == first
        assert "is the largest threshold that meets the target" in tuner.inner_text()
        assert problem.count() == 0

        # A long list needs a rate that these images cannot show, and a message says so.
        size = tuner.get_by_label("Hashes in the list")
        assert size.input_value() == "10000"
        size.fill("1e8")
        size.press("Enter")
        fourth = changed(numbers, third, page)
        assert "100,000,000 hashes" in fourth
        assert "cannot show" in settled(problem.inner_text, page)
        assert "meets the target" not in tuner.inner_text()
        assert threshold() < at

        # A short list has few false matches, and another threshold.
        size.fill("1000")
        size.press("Enter")
        third = changed(numbers, fourth, page)
        assert f"L2 ≤ {threshold()}" in third
        assert threshold() > at
        assert "is the largest threshold that meets the target" in tuner.inner_text()
        assert problem.count() == 0

        # A target, and the threshold follows; the images come when it rests.
        seen = settled(images.inner_html, page)
        before = threshold()
        target.select_option(label="a false match rate of 10⁻⁴")
        fifth = changed(numbers, third, page)
        assert threshold() != before
        assert f"L2 ≤ {threshold()}" in fifth
        assert "is the largest threshold that meets the target" in tuner.inner_text()
        changed(images.inner_html, seen, page)
        assert images.locator("img").count() >= 8
        assert images.locator(".missing").count() == 0

        tuner.evaluate("element => element.scrollIntoView()")
        page.screenshot(path=artifacts() / "threshold_tuning.png")

        # The cell below saves where the tuner stands, again and again.
        for moves in 3, 4:
            tuner.scroll_into_view_if_needed()
            before = numbers()
            slider.focus()
            for _ in range(moves):
                page.keyboard.press("ArrowLeft")
            changed(numbers, before, page)
            said = run_from(page, "again = pdna.evaluation.run(")
            assert f"chosen: L2 {threshold()}\n" in said
        page.locator(".jp-CodeCell").last.scroll_into_view_if_needed()
        page.screenshot(path=artifacts() / "threshold_tuning_chosen.png")
        failed = page.locator(
            ".jp-RenderedText[data-mime-type='application/vnd.jupyter.error'], "
            ".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr'], .problem"
        )
        assert failed.all_inner_texts() == []
        assert complaints == []
