"""Groups of pictures for the tests of the page for review: in files whose content is known."""

import base64
import json
import re

import numpy as np
from PIL import Image

import photodna_nb as pdna
from photodna_nb.hashing.orientations import ORIENTATIONS

# Names of every script and of every kind of trouble, as bytes.
NAMES = (
    *(name.encode() for name in ("صورة.png", "תמונה.png", "写真.png", "e\u0301te\u0301.png")),
    *(name.encode() for name in ("👨\u200d👩\u200d👧 🏖.png", "a b&c;d'e\"f.png", "=1+1.png")),
    *(
        name.encode()
        for name in ("\u202egnp.exe.png", "‏\u2066x.png", "%41?#.png", "back\\slash.png")
    ),
    b"latin\xe9.png",
    b"\xff\xfe.png",
    b"two\nlines.png",
    b"carriage\r.png",
    b"<img src=x onerror=alert(1)>.png",
    b"a<!--<script>.png",
    b"terminal\x1b[31m.png",
)


def picture(seed=0, size=(320, 240)):
    """Return a picture with much detail."""
    return next(iter(pdna.datasets.dead_leaves(1, size, seed=seed))).open()


def groups_of(paths, sizes, distances=(), *, max_distance=100, widest=0.0, orientations=()):
    """Return groups of so many files each, in order, at these distances from the first."""
    table = pdna.hash_files(paths)
    n = len(paths)
    assert sum(sizes) == n
    group = np.repeat(np.arange(len(sizes)), sizes)
    distance = np.array(distances or np.zeros(n), float)
    distance[np.flatnonzero(np.diff(group, prepend=-1))] = np.nan
    numbers = [ORIENTATIONS.index(name) for name in orientations] or [0] * n
    return pdna.DuplicateGroups(
        table,
        group,
        np.arange(n),
        distance,
        np.array(numbers, np.int8),
        np.full(len(sizes), float(widest)),
        np.full(len(sizes), widest > max_distance),
        np.empty(0, np.int64),
        float(max_distance),
        "euclidean",
    )


def data_of(path):
    """Return the data in a page."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8")
    )
    return json.loads(text)


def paths_in(data):
    """Return the path of each picture of a page."""
    return [
        data["folders"][f][0] + name for f, name in zip(data["folder"], data["name"], strict=True)
    ]


def notes_in(data):
    """Return the notes of each picture of a page."""
    return [[data["notes_texts"][number] for number in numbers] for numbers in data["notes"]]


def thumbnails_in(data):
    """Return the embedded thumbnails of a page, as bytes."""
    return [base64.b64decode(content, validate=True) for content in data["embedded"]]


def save(image, path, **options):
    """Save an image, and return its path."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(path, **options)
    return path
