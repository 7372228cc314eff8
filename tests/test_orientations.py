"""The eight orientations of a hash, against images that are mirrored and rotated."""

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import photodna_nb as pdna
from photodna_nb.hashing.orientations import ORIENTATIONS


def test_orientations(shared_golden):
    """Photographs that are mirrored and rotated, in the order of PIL.Image.Transpose."""
    paths = sorted((shared_golden / "perception").rglob("*.jpg"))
    assert len(paths) >= 10
    differences = []
    for path in paths:
        with Image.open(path) as image:
            oriented = [image, *(image.transpose(method) for method in Image.Transpose)]
        permuted = pdna.orientations(pdna.hash_image(oriented[0]))
        for k, image in enumerate(oriented):
            distances = [pdna.distance(pdna.hash_image(image), row) for row in permuted]
            assert np.argmin(distances) == k
            assert sorted(distances)[1] > 150, "no other permutation is near"
            differences.append(distances[k])
    differences = np.reshape(differences, (-1, 8))
    assert not differences[:, [0, 1 + Image.Transpose.TRANSPOSE]].any(), "exact"
    assert np.median(differences, axis=0).max() < 45
    assert differences.max() < 80


def test_orientations_are_a_group():
    hashes = np.random.default_rng(8).integers(0, 256, (30, 144), np.uint8)
    eight = pdna.orientations(hashes)
    assert eight.shape == (30, 8, 144)
    np.testing.assert_array_equal(eight[:, 0], hashes)
    again = pdna.orientations(eight)
    assert again.shape == (30, 8, 8, 144)
    for k in range(8):
        inverse = {3: 5, 5: 3}.get(k, k)
        np.testing.assert_array_equal(again[:, k, inverse], hashes)
    assert len({row.tobytes() for row in eight[0]}) == 8
    with pytest.raises(pdna.ArgumentError, match="hashes: got an array of shape"):
        pdna.orientations(hashes[:, :100])


def test_orientations_are_named_as_in_pillow():
    assert ("identity", *(method.name.lower() for method in Image.Transpose)) == ORIENTATIONS


@pytest.mark.long
def test_residues_are_those_of_the_script():
    from benchmarks.orientations import drawn, measure, table

    rows = [*table(measure(drawn(), [64, 300]))][2:]
    assert len(rows) == 2
    assert set(rows) <= set((ROOT / "docs" / "hash.md").read_text(encoding="utf-8").splitlines())
