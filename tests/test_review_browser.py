"""The page for review in a real browser, opened as a file and without a network."""

import csv
import io
import os
import re
from itertools import pairwise

import numpy as np
import pytest
from browsers import artifacts, complaints_of, needs_browser, opened_browser
from conftest import JIT_OFF
from review_pages import NAMES, groups_of, picture, save

import photodna_nb as pdna
from photodna_nb.report import review, write_review

pytestmark = [
    pytest.mark.notebook,
    needs_browser(),
    pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly"),
]
SIZES = [3, 2, 4, len(NAMES) - 9]


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """Four groups of files in two folders, with names of every kind."""
    folder = os.fsencode(tmp_path_factory.mktemp("pictures"))
    paths = []
    for number, name in enumerate(NAMES):
        place = os.path.join(folder, (b"one", b"tw\xc3\xb6/deep")[number % 2])
        os.makedirs(place, exist_ok=True)
        paths.append(os.path.join(place, name))
        save(picture(number // 3, (320, 240)), paths[-1], format="PNG")
    distances = [0, 5, 50, 0, 80, 0, 20, 20, 20] + [0] + [1] * (SIZES[-1] - 1)
    return groups_of(paths, SIZES, distances, widest=0.0)


@pytest.fixture(scope="module")
def file(groups, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "review.html"
    write_review(groups, path)
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """10,000 groups of the same four files, which are links, with thumbnails in a folder."""
    folder = tmp_path_factory.mktemp("many")
    paths = [save(picture(number, (160, 120)), folder / f"{number}.png") for number in range(4)]
    table = pdna.hash_files(paths)
    rng = np.random.default_rng(0)
    sizes = rng.choice([2, 3, 4, 40], 10_000, p=[0.6, 0.3, 0.099, 0.001])
    group = np.repeat(np.arange(len(sizes)), sizes)
    number = np.arange(len(group))
    table = table[number % 4]
    labels = [f"folder {i % 100}/picture {i}.png" for i in number.tolist()]
    table = pdna.HashTable(labels, table.hashes, table.detail)
    distance = rng.uniform(0, 100, len(group))
    distance[np.flatnonzero(np.diff(group, prepend=-1))] = np.nan
    nothing = np.zeros(len(sizes))
    groups = pdna.DuplicateGroups(
        table,
        group,
        number,
        distance,
        np.zeros(len(group), np.int8),
        nothing,
        nothing > 0,
        np.empty(0, np.int64),
        100.0,
        "euclidean",
    )
    write_review(groups, folder / "review.html")
    return folder / "review.html", sizes


@pytest.fixture
def opened(browser):
    """Return a function that opens a page; whatever it complains of fails the test."""
    contexts = []
    complaints = []

    def opened(path, script="", **options):
        options = {"viewport": {"width": 1280, "height": 900}, "offline": True} | options
        contexts.append(browser.new_context(**options))
        if script:
            contexts[-1].add_init_script(script)
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        complaints.append(complaints_of(page))
        page.on("requestfailed", lambda request: complaints[-1].append(request.url))
        page.goto(path.as_uri())
        wait_until_ready(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == [[] for _ in complaints]


def wait_until_ready(page):
    """Wait for the last step of opening a page."""
    page.locator("#groups[aria-busy=false]").wait_for(state="attached")


def status(page):
    return page.locator("#status").inner_text()


def wait_for_focus(page, name):
    """Wait until the box of the picture of that name has the focus: events come later."""
    page.wait_for_function(
        "name => name ==="
        " document.activeElement.closest('.card')?.querySelector('bdi').textContent",
        arg=name,
    )


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def saved(page, file_format):
    """Return the content of the list in a format."""
    page.locator("#format").select_option(file_format)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save list").click()
    with open(download.value.path(), "rb") as file:
        return file.read()


def open_filters(page):
    page.locator("#filters > summary").click()


def tick_all(page):
    open_filters(page)
    page.locator("#which").select_option("others")
    page.get_by_role("button", name="Tick", exact=True).click()
    page.locator(".group").first.locator(".card input").first.click()


def test_pictures_are_shown(opened, file):
    page = opened(file)
    assert status(page) == "4 of 4 groups shown · 0 ticked"
    cards = page.locator(".card[data-picture]")
    assert cards.count() >= 9
    images = page.locator(".group .card img")
    for image in images.all():
        image.scroll_into_view_if_needed()
        page.wait_for_function("image => image.naturalWidth === 240", arg=image.element_handle())
    assert page.locator(".no-picture").count() == 0
    first = page.locator(".card[data-picture='1']").inner_text()
    assert "PNG · 320 × 240" in first
    assert "no. 2" in first
    assert "distance 5.0" in first


def test_names_are_shown_and_not_obeyed(opened, file):
    page = opened(file)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    shown = page.locator(".card .name bdi").all_inner_texts()
    assert "<img src=x onerror=alert(1)>.png" in " ".join(shown)
    assert "\\u202egnp.exe.png" in " ".join(shown)
    assert "\u202e" not in page.locator("body").inner_text()
    assert (
        page.locator(".name bdi").first.evaluate("e => getComputedStyle(e).unicodeBidi")
        == "isolate"
    )
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("script").count() == 2


def test_the_keyboard(opened, file):
    page = opened(file)
    names = [os.fsdecode(name) for name in NAMES]
    press(page, "j")
    wait_for_focus(page, names[0])
    press(page, "j", "ArrowRight")
    wait_for_focus(page, names[2])
    press(page, "ArrowRight")
    wait_for_focus(page, names[3])
    press(page, "k", "ArrowLeft")
    wait_for_focus(page, names[1])
    press(page, " ")
    assert "1 ticked" in status(page)
    press(page, "n")
    wait_for_focus(page, names[3])
    press(page, "n", " ", "d")
    assert "2 ticked" in status(page)
    assert page.locator(".group.done h2").inner_text() == "Group 2"
    press(page, "p", "p")
    wait_for_focus(page, names[3])
    press(page, "ArrowDown")  # the group is right of the first one
    wait_for_focus(page, "\\u200f\\u2066x.png")
    press(page, "ArrowUp")
    wait_for_focus(page, names[3])
    press(page, "u", "u")  # done, and the last tick
    assert "1 ticked" in status(page)
    press(page, "?")
    assert page.get_by_role("dialog", name="Help").is_visible()
    press(page, "Escape", "/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("nj")  # letters, not keys
    assert page.locator("#search").input_value() == "nj"


def test_one_stop_of_the_tab_key_is_in_the_list(opened, file):
    page = opened(file)
    assert page.locator("#groups [tabindex='0']").count() == 1
    press(page, "j", "j", "j")
    assert page.locator("#groups [tabindex='0']").count() == 1
    box = page.locator("#groups [tabindex='0']")
    outline = box.evaluate(
        "e => getComputedStyle(e).outlineStyle + getComputedStyle(e).outlineWidth"
    )
    assert outline == "solid3px"
    described = box.get_attribute("aria-describedby").split()
    said = " ".join(page.locator(f"#{name}").inner_text() for name in described)
    assert "distance" in said or "no. 1" in said
    assert page.get_by_role("feed").locator("article").first.get_attribute("aria-setsize") == "4"


def test_ticks_survive_a_reload(opened, file):
    page = opened(file)
    press(page, "j", " ", "j", " ", "n", "d")
    page.reload()
    wait_until_ready(page)
    assert "2 ticked" in status(page)
    assert page.locator(".card.ticked").count() == 2
    assert page.locator(".group.done").count() == 1
    # Another page of the same browser shows them, too, and sends its own.
    other = page.context.new_page()
    other.goto(page.url)
    wait_until_ready(other)
    assert "2 ticked" in status(other)
    press(other, "j", " ")
    page.wait_for_function(
        "() => document.querySelector('#status').textContent.includes('1 ticked')"
    )


NO_STORAGE = (
    "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied'); }});"
)
NO_HISTORY = "history.replaceState = () => { throw new Error('denied'); };"


def test_ticks_without_storage(opened, file):
    page = opened(file, NO_STORAGE)
    press(page, "j", " ")
    page.locator("#message").wait_for()
    assert "survive a reload" in page.locator("#message").inner_text()
    page.reload()
    wait_until_ready(page)
    assert "1 ticked" in status(page)


def test_ticks_that_nothing_keeps(opened, file):
    page = opened(file, NO_STORAGE + NO_HISTORY)
    press(page, "j", " ")
    page.locator("#message").wait_for()
    assert "save the list before you leave" in page.locator("#message").inner_text()
    asked = """() => {
      const event = new Event("beforeunload", {cancelable: true});
      dispatchEvent(event);
      return event.defaultPrevented;
    }"""
    assert page.evaluate(asked)
    press(page, " ")
    assert not page.evaluate(asked)


def test_the_list_has_the_bytes_of_each_name(opened, groups, file):
    page = opened(file)
    tick_all(page)
    firsts = np.flatnonzero(np.isnan(groups.distance)).tolist()[1:]
    paths = [os.fsencode(path) for row, path in enumerate(groups.paths) if row not in firsts]
    assert len(paths) == len(NAMES) - 3
    assert saved(page, "nul") == b"".join(path + b"\0" for path in paths)

    page.locator("#format").select_option("lines")
    page.get_by_role("button", name="Save list").click()
    assert "2 paths with a line end" in page.locator("#message").inner_text()

    content = saved(page, "csv")
    text = io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")
    rows = list(csv.DictReader(text))
    assert [os.fsencode(row["path"]) for row in rows] == paths
    assert list(rows[0]) == list(groups._columns())
    expected = [member for row, member in enumerate(groups) if row not in firsts]
    for row, member in zip(rows, expected, strict=True):
        assert int(row["group"]) == member.group
        assert float(row["distance"] or "nan") == pytest.approx(
            member.distance or np.nan, nan_ok=True
        ) or (member.distance == 0 == float(row["distance"]))
        assert (int(row["width"]), int(row["height"])) == (320, 240)
        assert int(row["bytes"]) == os.path.getsize(member.path)


def test_one_path_a_line(opened, groups, file, tmp_path):
    page = opened(file)
    press(page, "j", " ", "j", " ", "n", " ")
    content = saved(page, "lines")
    wanted = [groups.paths[row] for row in (0, 1, 3)]
    assert content == b"".join(os.fsencode(path) + b"\n" for path in wanted)
    # Another browser goes on with the list, and says what it does not know.
    (tmp_path / "ticked.txt").write_bytes(content.replace(b"\n", b"\r\n") + b"/gone.png\r\n")
    other = opened(file)
    other.locator("#load").set_input_files(tmp_path / "ticked.txt")
    other.locator("#message").wait_for()
    assert (
        "3 pictures ticked; 1 path of the list not on this page."
        in other.locator("#message").inner_text()
    )
    assert saved(other, "lines") == content


def test_a_spreadsheet_runs_no_formula(opened, tmp_path):
    names = ["=1+1.png", "@a.png"]
    for name in names:
        save(picture(), tmp_path / name)
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        write_review(groups_of(names, [2]), "review.html")
    finally:
        os.chdir(before)
    page = opened(tmp_path / "review.html")
    tick_all(page)
    rows = [line.split(",")[1] for line in saved(page, "spreadsheet").decode().splitlines()]
    assert rows == ["path", "'=1+1.png", "'@a.png"]
    rows = [line.split(",")[1] for line in saved(page, "csv").decode().splitlines()]
    assert rows == ["path", *names]


def shown_groups(page, text):
    """Return the titles of the groups, once the status begins with a text."""
    page.wait_for_timeout(300)
    page.wait_for_function(
        "t => document.querySelector('#status').textContent.startsWith(t)", arg=text
    )
    return page.locator(".group h2").all_inner_texts()


def test_filters(opened, file):
    page = opened(file)
    open_filters(page)
    page.locator("#from").fill("60")
    assert shown_groups(page, "1 of 4") == ["Group 1"]
    page.locator("#from").fill("")
    page.locator("#to").fill("20")
    assert shown_groups(page, "2 of 4") == ["Group 2", "Group 3"]
    page.locator("#to").fill("")
    page.locator("#search").fill("ÉT\u00c9")  # composed, and the name is not
    assert shown_groups(page, "1 of 4") == ["Group 1"]
    page.locator("#search").fill("\\xff")
    assert shown_groups(page, "1 of 4") == ["Group 3"]
    page.locator("#search").fill("")
    assert len(shown_groups(page, "4 of 4")) == 4
    options = page.locator("#folder option").all_inner_texts()
    assert [re.sub(r"\u2068.*/pictures0|\u2069", "", one) for one in options[1:]][-3:] == [
        f"/ ({len(NAMES)})",
        f"/one/ ({(len(NAMES) + 1) // 2})",
        f"/twö/deep/ ({len(NAMES) // 2})",
    ]
    page.locator("#folder").select_option(index=len(options) - 1)
    page.locator("#which").select_option("folder")
    page.get_by_role("button", name="Tick", exact=True).click()
    assert f"{len(NAMES) // 2} ticked" in status(page)
    page.get_by_role("button", name="Undo").click()
    assert " 0 ticked" in status(page)
    page.locator("#folder").select_option("")
    page.locator("#order").select_option("many")
    assert shown_groups(page, "4 of 4")[0] == "Group 3"
    page.locator("#order").select_option("far")
    assert shown_groups(page, "4 of 4")[0] == "Group 1"


def test_groups_that_are_dealt_with_are_hidden(opened, file):
    page = opened(file)
    press(page, "j", " ")
    open_filters(page)
    page.get_by_label("Hide groups").check()
    assert shown_groups(page, "3 of 4")[0] == "Group 1"
    page.locator(".card input").first.focus()
    press(page, "d")
    assert shown_groups(page, "2 of 4") == ["Group 2", "Group 3"]
    assert (
        page.evaluate("document.activeElement.closest('.group').querySelector('h2').textContent")
        == "Group 2"
    )
    page.get_by_label("Hide groups").uncheck()
    assert len(shown_groups(page, "4 of 4")) == 4


def test_every_picture_of_a_group_ticked(opened, file):
    page = opened(file)
    press(page, "j", " ", "j", " ", "j", " ")
    assert "every picture ticked in 1 group" in status(page)
    assert "every picture is ticked" in page.locator(".group").first.inner_text()


def test_two_pictures_side_by_side(opened, groups, file):
    page = opened(file)
    press(page, "j", "j", "Enter")
    dialog = page.get_by_role("dialog")
    images = dialog.locator("img")
    for number in range(2):
        # From the files themselves, in their full size.
        page.wait_for_function(
            "image => image.naturalWidth === 320", arg=images.nth(number).element_handle()
        )
    assert "distance 5" in dialog.inner_text()
    press(page, " ", "j")
    assert "1 ticked" in status(page)
    assert "distance 50" in dialog.inner_text()
    press(page, "j", "j", "j")
    assert "Group 2" in dialog.inner_text()
    page.screenshot(path=artifacts() / "review_compare.png")
    press(page, "Escape")
    wait_for_focus(page, os.fsdecode(NAMES[5]))
    page.locator(".card[data-picture='0'] .picture").click()
    assert dialog.is_visible()


def test_a_missing_folder_of_thumbnails(opened, groups, tmp_path, monkeypatch, browser):
    monkeypatch.setattr(review, "_MOST_EMBEDDED", 0)
    write_review(groups, tmp_path / "review.html")
    page = opened(tmp_path / "review.html")
    image = page.locator(".card[data-picture='0'] img")
    page.wait_for_function("image => image.naturalWidth === 240", arg=image.element_handle())
    (tmp_path / "review_files").rename(tmp_path / "other")
    context = browser.new_context()
    page = context.new_page()
    page.goto((tmp_path / "review.html").as_uri())
    page.locator(".card[data-picture='0'].no-picture").wait_for()
    assert "move the folder together with the page" in page.locator(".card").first.inner_text()
    context.close()


def test_ten_thousand_groups(opened, many):
    path, sizes = many
    page = opened(path)
    assert status(page).startswith("10,000 of 10,000 groups shown")
    assert page.locator(".card").count() < 120
    height = page.evaluate("document.documentElement.scrollHeight")
    for part in (0.5, 1, 0.2):
        page.evaluate("y => scrollTo(0, y)", part * height)
        page.wait_for_function(
            "() => [...document.querySelectorAll('.group')].map(e => e.getBoundingClientRect())"
            ".some(box => box.top < 600 && box.bottom > 300)"
        )
        assert page.locator(".card").count() < 120
        assert page.evaluate("document.documentElement.scrollHeight") == height
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.get_by_role("heading", name="Group 9999", exact=True).wait_for()
    press(page, "j", "j")  # from what is visible
    page.evaluate("scrollTo(0, 0)")
    press(page, "j")
    wait_for_focus(page, "picture 0.png")
    # All cards of a large group are there, as they are scrolled to.
    large = int(np.flatnonzero(sizes == 40)[0])
    open_filters(page)
    page.locator("#order").select_option("many")
    assert shown_groups(page, "10,000")[0] == f"Group {large}"
    page.locator("h1").click()
    press(page, "j")
    for _ in range(39):
        press(page, "j")
    assert (
        page.evaluate("document.activeElement.closest('.group').querySelector('h2').textContent")
        == f"Group {large}"
    )
    press(page, "j")
    assert (
        page.evaluate("document.activeElement.closest('.group').querySelector('h2').textContent")
        != f"Group {large}"
    )
    page.locator("#which").select_option("others")
    page.get_by_role("button", name="Tick", exact=True).click()
    assert f"{int((sizes - 1).sum()):,} ticked" in status(page)
    page.reload()
    wait_until_ready(page)
    assert f"{int((sizes - 1).sum()):,} ticked" in status(page)


CONTRASTS = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => c <= 10 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("script, style, :disabled:not(.picture)")) continue;
    let behind = element;
    let background = [0, 0, 0, 0];
    for (; behind; behind = behind.parentElement) {
      const styles = [getComputedStyle(behind), getComputedStyle(behind, "::before")];
      const colours = styles.map((style) => channels(style.backgroundColor));
      background = colours.find((c) => c.length === 3 || c[3] > 0) ?? background;
      if (background.length === 3 || background[3] > 0) break;
    }
    const both = [channels(getComputedStyle(element).color), background].map(luminance);
    const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    found.push([ratio, element.className || element.tagName]);
  }
  return found;
}"""


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_width_and_theme(opened, groups, file, width, scheme, tmp_path):
    page = opened(file, viewport={"width": width, "height": 800}, color_scheme=scheme)
    press(page, "j", " ", "n", "d")
    page.locator("#filters").evaluate("e => e.open = true")
    too_wide = page.evaluate(
        "[...document.querySelectorAll('body *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth)"
        ".map(e => `${e.tagName} ${e.id} ${e.className}`)"
    )
    assert too_wide == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 60
    assert [one for one in contrasts if one[0] < 4.5] == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    page.screenshot(path=artifacts() / f"review_{width}_{scheme}.png")
    # Cards lie beside each other and not over each other.
    boxes = page.evaluate(
        "[...document.querySelectorAll('.card[data-picture]')]"
        ".map(e => e.getBoundingClientRect().toJSON())"
    )
    for i, a in enumerate(boxes):
        assert a["left"] >= 0
        assert a["right"] <= width
        for b in boxes[:i]:
            apart = (
                a["left"] >= b["right"] - 1
                or b["left"] >= a["right"] - 1
                or a["top"] >= b["bottom"] - 1
                or b["top"] >= a["bottom"] - 1
            )
            assert apart


def test_the_window_changes_its_width(opened, file):
    page = opened(file)
    press(page, "n", "n")
    page.set_viewport_size({"width": 500, "height": 700})
    page.wait_for_function(
        "() => document.querySelector('.group').getBoundingClientRect().right <= 500"
    )
    wait_for_focus(page, os.fsdecode(NAMES[3]))
    box = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    assert 0 < box["top"] < 700


def test_print(opened, file):
    page = opened(file)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".card").count() == len(NAMES) + 1  # and the one that is measured
    boxes = [card.bounding_box() for card in page.locator(".group").all()]
    assert page.evaluate("[...document.images].every(image => image.loading === 'eager')")
    for above, below in pairwise(boxes):
        assert below["y"] >= above["y"] + above["height"]
    page.evaluate("dispatchEvent(new Event('afterprint'))")


def test_matches(opened, groups, tmp_path):
    table = groups.table
    known = pdna.HashTable(["known/<b>one", "known/two"], table.hashes[:2], table.detail[:2])
    write_review(pdna.match(table[:2], known), tmp_path / "review.html")
    page = opened(tmp_path / "review.html")
    assert "2 of 2 pictures have matches" in page.locator("header").inner_text()
    assert [one for one in page.evaluate(CONTRASTS) if one[0] < 4.5] == []
    press(page, "j", "j", " ")  # what is known cannot be ticked
    assert " 0 ticked" in status(page)
    press(page, "k", " ")
    rows = list(csv.DictReader(io.StringIO(saved(page, "csv").decode("utf-8", "surrogateescape"))))
    assert {row["path"] for row in rows} == {table.paths[0]}
    assert {row["match"] for row in rows} >= {"known/<b>one"}
    assert list(rows[0]) == ["path", "match", "distance", "orientation"]
