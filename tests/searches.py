"""What the tests of the search share: hashes, projections, brute force, the filter in NumPy."""

import base64
import json
from functools import cache

import numpy as np
from conftest import ROOT, SHARED_GOLDEN
from scipy.spatial.distance import cdist

from photodna_nb.kernels.distance import MANHATTAN, SQUARED
from photodna_nb.pairs.projection import Projection

PHOTOGRAPHS = SHARED_GOLDEN / "photographs" / "hashes.npz"
KINDS = ("photographs", "copies", "blank", "extremes", "clipped", "random")
BASES = ("principal", "random", "small", "zeros", "repeated", "largest")
METRICS = {"sqeuclidean": SQUARED, "manhattan": MANHATTAN}


def _photographs():
    """Hashes of photographs, and where these are missing, ones with the components of others."""
    if PHOTOGRAPHS.exists():
        with np.load(PHOTOGRAPHS) as arrays:
            return np.concatenate([arrays["a_originals"], *arrays["b_variants"]])
    records = map(json.loads, (ROOT / "data/golden/golden.jsonl").read_text("utf-8").splitlines())
    found = np.stack(
        [np.frombuffer(base64.b64decode(r["hash"]), np.uint8) for r in records if "hash" in r]
    )
    mean = found.mean(axis=0)
    _, scales, axes = np.linalg.svd(found - mean, full_matrices=False)
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(6000, len(scales))) * scales / np.sqrt(len(found))
    drawn = parts @ axes + mean + rng.normal(0, 8, (6000, 144))
    return np.rint(drawn).clip(0, 255).astype(np.uint8)


_PHOTOGRAPHS = _photographs()


def some_hashes(kind, count, seed=0):
    """Return hashes, (count, 144), of a kind."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    if kind == "blank":
        return np.zeros((count, 144), np.uint8)
    if kind == "random":
        return rng.integers(0, 256, (count, 144), np.uint8)
    if kind == "extremes":  # some of the numbers 255, all others 0: equal and opposite ones
        rows = rng.integers(0, 2, (max(1, count // 3), 144), np.uint8) * np.uint8(255)
        rows[: len(rows) // 2] = 255 - rows[-(len(rows) // 2) or len(rows) :]
        return rows[rng.integers(len(rows), size=count)]
    rows = _PHOTOGRAPHS[rng.integers(len(_PHOTOGRAPHS), size=count)]
    if kind == "copies":  # a few images, with small changes: many equal distances
        rows = rows[rng.integers(max(1, count // 40), size=count)]
        changed = rng.random(rows.shape) < 0.02
        return rows + (changed & (rows < 255)).astype(np.uint8)
    if kind == "clipped":  # farther apart than coordinates of one byte tell
        dark = rng.random(count) < 0.5
        rows[dark] //= 8
        rows[~dark] = 255 - rows[~dark] // 8
    return rows


@cache
def _principal_axes():
    return Projection.fit(_PHOTOGRAPHS, 80).weights


def some_weights(basis, n_axes, seed=0):
    """Return weights, (n_axes, 144) int8: good ones and bad ones."""
    rng = np.random.default_rng([seed, n_axes])
    if basis == "principal":
        return _principal_axes()[:n_axes]
    if basis == "zeros":
        return np.zeros((n_axes, 144), np.int8)
    if basis == "largest":
        return np.full((n_axes, 144), 127, np.int8)
    scale = 5 if basis == "small" else 128
    weights = rng.integers(1 - scale, scale, (n_axes, 144)).astype(np.int8)
    if basis == "repeated":
        weights[:] = weights[:1]
    return weights


def some_projection(basis, n_axes, seed=0):
    """Return a projection whose coordinates are around 0, or for some axes far from it."""
    weights = some_weights(basis, n_axes, seed)
    centre = np.rint(weights @ _PHOTOGRAPHS.mean(axis=0)).astype(np.int32)
    centre[seed % n_axes] += 20_000 * (seed % 3)
    return Projection.of(weights, centre)


def distances(a, b, metric):
    """Return the distances of all pairs, (n, m) int64, as SciPy computes them in float64."""
    name = "cityblock" if metric == MANHATTAN else "sqeuclidean"
    return cdist(a.astype(float), b.astype(float), name).astype(np.int64)


def pairs_of(exact, limit, inside):
    """Return the pairs within a limit as a list of (i, j, distance), sorted."""
    near = exact <= limit
    i, j = np.nonzero(np.triu(near, 1) if inside else near)
    return list(zip(i.tolist(), j.tolist(), exact[i, j].tolist(), strict=True))


def unpacked(chunk):
    """Return the pairs of a chunk as a list of (i, j, distance)."""
    i, j = chunk.packed >> 32, chunk.packed & 2**32 - 1
    return list(zip(i.tolist(), j.tolist(), chunk.distances.tolist(), strict=True))


def neighbours_of(exact, k, limit, inside):
    """Return the packed neighbours, (n, k) int64, as `found_neighbours` does."""
    packed = (exact << 32) + np.arange(exact.shape[1])
    packed[exact > limit] = (limit + 1) << 32
    if inside:
        np.fill_diagonal(packed, (limit + 1) << 32)
    packed.sort(axis=1)
    missing = np.full((len(packed), max(0, k - packed.shape[1])), (limit + 1) << 32)
    return np.concatenate([packed, missing], axis=1)[:, :k]


def near_boxes(points, query, low, high, box, limits, least):
    """As the intrinsic: a bit for each of eight queries that is near a box."""
    eight = points[query : query + 8].view(np.uint8).reshape(8, 8).astype(np.int64)
    outside = np.maximum(low[box] - eight, 0) + np.maximum(eight - high[box], 0)
    squares = (np.minimum(outside, 127) ** 2).sum(axis=1)
    limits = np.maximum(limits[query : query + 8], least)
    return int(np.sum((squares <= limits) << np.arange(8)))


def boxes_near(points, query, low, high, box, limits, least):
    """As the intrinsic: a bit for each of eight boxes that is near a query."""
    near = [
        near_boxes(points[[query] * 8], 0, low, high, box + j, limits[[query] * 8], least) & 1
        for j in range(8)
    ]
    return sum(bit << j for j, bit in enumerate(near))


def near_rows(
    codes, block, halves, points, axes, listed, chosen, place, limits, of_rows, masks, bits=16
):
    """As the intrinsic: a bit for each row of a block near each of four queries."""
    rows = codes.reshape(-1, axes // 4, 32, 4)[block].swapaxes(0, 1).reshape(32, axes)
    queries = listed[chosen[place : place + 4]]
    products = points[queries].astype(np.int64) @ rows.T.astype(np.int64)
    limits = limits[queries, None]
    if of_rows is not None:
        limits = np.maximum(limits, of_rows[1][32 * block : 32 * block + 32])
        limits = limits + of_rows[0][queries, None]
    sums = products + limits + halves[32 * block : 32 * block + 32]
    near = (sums.astype(np.int16) if bits == 16 else sums) >= 0
    if near.any():
        masks[:] = (near.astype(np.int64) << np.arange(32)).sum(axis=1)
    return bool(near.any())


def rows_near(codes, block, halves, points, axes, listed, chosen, place, *limits, bits=16):
    """As the intrinsic: `near_rows` of one query."""
    four = np.repeat(chosen[place : place + 1], 4)
    *limits, masks = limits
    found = np.empty(4, np.uint32)
    near = near_rows(codes, block, halves, points, axes, listed, four, 0, *limits, found, bits)
    if near:
        masks[0] = found[0]
    return near


def lowest_bit(mask):
    """As the intrinsic."""
    mask = int(mask)
    return (mask & -mask).bit_length() - 1


def squared_distance(queries, query, rows, row):
    """As the intrinsic."""
    return int(((queries[query].astype(int) - rows[row]) ** 2).sum())


def manhattan_distance(queries, query, rows, row):
    """As the intrinsic."""
    return int(np.abs(queries[query].astype(int) - rows[row]).sum())


# The intrinsics that `kernels.filter` calls.
VECTOR_CODE = (
    *("near_boxes", "boxes_near", "near_rows", "rows_near", "lowest_bit"),
    *("squared_distance", "manhattan_distance"),
)
