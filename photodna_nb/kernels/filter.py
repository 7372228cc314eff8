"""Filter and refine: the pairs that may lie within a limit, and the distances of those.

`near_pairs` finds every row whose projection is near enough to that of a query. It tests boxes
of 512 rows, then boxes of 32 rows, then the rows. `refine_within` and `refine_nearest` compute
the distances of these pairs and select. `order_rows` puts rows that are near each other into
one box.

Arrays that recur:

- ``queries``: a tuple of points (n,) uint64, the bytes of eight shifted coordinates; codes
  (n, axes) int8; box_limits and limits (n,) int32. n is a multiple of 8; nothing is near to
  a query whose box_limit is -1;
- ``boxes``: a tuple of codes, uint8, and halves (rows,) int32, as `near_rows` takes them; low
  and high (blocks, 8), super_low and super_high (superblocks, 8) uint8: the boxes of 32 rows
  and of 512;
- ``pairs``: (capacity, 2) int32: the places of a query and of a row in their order.
"""

import numpy as np

from photodna_nb.kernels.distance import HASH_BYTES, insert_neighbour
from photodna_nb.kernels.filter_tile import (
    BLOCK_ROWS,
    BOX_AXES,
    BOX_QUERIES,
    TILE_QUERIES,
    lowest_bit,
    near_boxes,
    near_rows,
)
from photodna_nb.kernels.jit import kernel

SUPERBLOCK_ROWS = 512
SUPERBLOCK_BLOCKS = SUPERBLOCK_ROWS // BLOCK_ROWS
# Room that scratch arrays need beyond the number of queries.
SCRATCH_MARGIN = 16
# Rows whose coordinates decide along which axis a box is divided.
_SAMPLE = 1000

# For each mask of eight bits: the numbers of the bits that are set, first, and how many are.
_SET_BITS = np.zeros((256, 8), np.uint8)
_N_SET_BITS = np.zeros(256, np.uint8)
for _mask in range(256):
    _numbers = [bit for bit in range(8) if _mask >> bit & 1]
    _SET_BITS[_mask, : len(_numbers)] = _numbers
    _N_SET_BITS[_mask] = len(_numbers)


@kernel
def near_pairs(
    first, last, superblocks, start, triangle, queries, boxes, n_rows, scratch, pairs, counts
):
    """Append to `pairs` the queries `first` to `last` with the rows that may be near to them.

    superblocks: (s,) int32, of which those from number `start` on are processed; returns the
    number of the first one that may not fit into `pairs` any more, or s. triangle: whether
    the queries are the rows, and a row counts with the queries before it only. scratch:
    points (c,) uint64; limits, listed and chosen, (c,) int32, c at least SCRATCH_MARGIN
    more than there are queries; masks (4,) uint32. counts: (2,) int64: number of `pairs`, and
    of rows that were tested with a query, both added to.
    """
    points, codes, box_limits, limits = queries
    row_codes, halves, low, high, super_low, super_high = boxes
    near_points, near_limits, listed, chosen, masks = scratch
    axes = codes.shape[1]
    count, tested = counts[0], counts[1]
    for number in range(start, superblocks.shape[0]):
        if pairs.shape[0] - count < (last - first) * SUPERBLOCK_ROWS:
            counts[0], counts[1] = count, tested
            return number
        superblock = np.int64(superblocks[number])
        end = min(last, (superblock + 1) * SUPERBLOCK_ROWS) if triangle else last
        size = 0
        for query in range(first, end, BOX_QUERIES):
            near = np.int64(
                near_boxes(points, query, super_low, super_high, superblock, box_limits)
            )
            for j in range(BOX_QUERIES):
                listed[size + j] = np.int32(query + _SET_BITS[near, j])
            size += np.int64(_N_SET_BITS[near])
        if size == 0:
            continue
        for j in range(size):
            near_points[j] = points[listed[j]]
            near_limits[j] = box_limits[listed[j]]
        for j in range(size, size + BOX_QUERIES):
            near_limits[j] = -1
        first_block = superblock * SUPERBLOCK_BLOCKS
        for block in range(first_block, min(low.shape[0], first_block + SUPERBLOCK_BLOCKS)):
            n_chosen = 0
            for group in range(0, size, BOX_QUERIES):
                near = np.int64(near_boxes(near_points, group, low, high, block, near_limits))
                for j in range(BOX_QUERIES):
                    chosen[n_chosen + j] = np.int32(group + _SET_BITS[near, j])
                n_chosen += np.int64(_N_SET_BITS[near])
            tested += n_chosen * BLOCK_ROWS
            for j in range(n_chosen, n_chosen + TILE_QUERIES):
                chosen[j] = 0
            for group in range(0, n_chosen, TILE_QUERIES):
                if near_rows(
                    row_codes, block, halves, codes, axes, listed, chosen, group, limits, masks
                ):
                    for q in range(min(TILE_QUERIES, n_chosen - group)):
                        query = listed[chosen[group + q]]
                        mask = masks[q]
                        while mask:
                            row = np.int32(block * BLOCK_ROWS + lowest_bit(mask))
                            mask &= np.uint32(mask - np.uint32(1))
                            if row < n_rows and (row > query or not triangle):
                                pairs[count, 0] = query
                                pairs[count, 1] = row
                                count += 1
    counts[0], counts[1] = count, tested
    return superblocks.shape[0]


@kernel
def _distance(manhattan, queries, query, rows, row):
    """Return the L1 or squared L2 distance of a query and a row, of (n, 144) and (m, 144) uint8."""
    total = np.int32(0)
    if manhattan:
        for i in range(HASH_BYTES):
            step = np.int32(np.int32(queries[query, i]) - np.int32(rows[row, i]))
            total = np.int32(total + abs(step))
    else:
        for i in range(HASH_BYTES):
            # int16, for the instruction that multiplies and adds pairs of them.
            d = np.int16(np.int16(queries[query, i]) - np.int16(rows[row, i]))
            total = np.int32(total + np.int32(np.int32(d) * np.int32(d)))
    return total


@kernel
def refine_within(
    manhattan, limit, queries, query_places, rows, row_places, pairs, count, distances
):
    """Move the pairs within a limit to the front of `pairs`; returns their number.

    queries, rows: (n, 144), (m, 144) uint8; places: the row of each query and of each row in
    them, int32; distances: (capacity,) int32, of the pairs that are left.
    """
    kept = 0
    for number in range(count):
        query, row = pairs[number, 0], pairs[number, 1]
        distance = _distance(manhattan, queries, query_places[query], rows, row_places[row])
        if distance <= limit:
            pairs[kept, 0] = query
            pairs[kept, 1] = row
            distances[kept] = distance
            kept += 1
    return kept


@kernel
def refine_nearest(
    first, skipped, queries, query_places, rows, row_places, numbers, pairs, count, neighbours
):
    """Put the rows of pairs into the heaps of their queries, where they are nearer in L2.

    neighbours: (n, k) int64, a heap for each query: squared distance * 2^32 + number, the
    largest first; numbers: (m,) int32, of rows. A row that is at most `skipped` places from
    the query's, which is `first` + query, is left out. The rest is as in `refine_within`.
    """
    for pair in range(count):
        query, row = pairs[pair, 0], pairs[pair, 1]
        if abs(row - query - first) <= skipped:
            continue
        distance = _distance(False, queries, query_places[query], rows, row_places[row])
        candidate = (np.int64(distance) << 32) + np.int64(numbers[row])
        insert_neighbour(neighbours[query], candidate)


@kernel
def first_part(length):
    """Return how many of `length` rows, more than 32, come before a division: whole boxes."""
    unit = SUPERBLOCK_ROWS if length > SUPERBLOCK_ROWS else BLOCK_ROWS
    return min((length // 2 + unit - 1) // unit, (length - 1) // unit) * unit


@kernel
def order_rows(points, order, first, last, smallest, spans):
    """Order rows so that boxes of 32 and of 512 in sequence are small: a k-d tree.

    points: (8, n) uint8; order: (n,) int32, numbers of rows, of which those from `first` to
    `last` are permuted; smallest: spans of so many rows are not divided; spans: (64, 2) int64,
    scratch.
    """
    spans[0, 0], spans[0, 1] = first, last
    depth = 1
    while depth:
        depth -= 1
        start, stop = spans[depth, 0], spans[depth, 1]
        if stop - start <= smallest:
            continue
        step = max(1, (stop - start) // _SAMPLE)
        widest, axis = -1.0, 0
        for candidate in range(BOX_AXES):
            total, squares, n = 0.0, 0.0, 0
            for place in range(start, stop, step):
                value = np.float64(points[candidate, order[place]])
                total += value
                squares += value * value
                n += 1
            variance = squares / n - (total / n) ** 2
            if variance > widest:
                widest, axis = variance, candidate
        middle = start + first_part(stop - start)
        values = points[axis]
        # Quickselect: the smallest rows come before the middle.
        low, high = start, stop - 1
        while low < high:
            a, b = values[order[low]], values[order[high]]
            c = values[order[(low + high) // 2]]
            pivot = max(min(a, b), min(max(a, b), c))
            left, right = low, high
            while left <= right:
                while values[order[left]] < pivot:
                    left += 1
                while values[order[right]] > pivot:
                    right -= 1
                if left <= right:
                    order[left], order[right] = order[right], order[left]
                    left += 1
                    right -= 1
            if middle <= right:
                high = right
            elif middle >= left:
                low = left
            else:
                break
        spans[depth, 0], spans[depth, 1] = start, middle
        spans[depth + 1, 0], spans[depth + 1, 1] = middle, stop
        depth += 2
