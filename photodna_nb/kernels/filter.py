"""Filter and refine: the pairs that may lie within a limit, and the distances of those.

`near_pairs` finds every row whose projection is near enough to that of a query. It tests boxes
of 512 rows, then boxes of 32 rows, then the rows. `refine_within` and `refine_nearest` compute
the distances of these pairs and select. `order_rows` puts rows that are near each other into
one box.

Arrays that recur:

- ``queries``: a tuple of points (n,) uint64, the bytes of eight shifted coordinates; codes
  (n, axes) int8; box_limits and limits (n,) int32. n is a multiple of 8; nothing is near to
  a query whose box_limit is -1;
- ``row_limits``: None, or where rows have limits too, and the larger one of a pair counts: a
  tuple of int32, offsets (n,) of the queries, which are added to limits; limits (rows,); and
  the largest box limits of the rows of each block and of each superblock;
- ``boxes``: a tuple of codes, uint8, and halves (rows,) int32, as `near_rows` takes them; low
  and high (blocks, 8), super_low and super_high (superblocks, 8) uint8: the boxes of 32 rows
  and of 512;
- ``pairs``: (capacity, 2) int32: the places of a query and of a row in their order.
"""

import numpy as np

from photodna_nb.kernels.distance import insert_neighbour
from photodna_nb.kernels.filter_tile import (
    BLOCK_ROWS,
    BOX_AXES,
    BOX_QUERIES,
    TILE_QUERIES,
    boxes_near,
    lowest_bit,
    near_boxes,
    near_rows,
    rows_near,
)
from photodna_nb.kernels.jit import kernel
from photodna_nb.kernels.row_distance import manhattan_distance, squared_distance

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
def _first_bits(count):
    """Return a mask of as many bits, at most eight."""
    return (1 << min(BOX_QUERIES, count)) - 1


@kernel
def near_pairs(
    first,
    last,
    superblocks,
    start,
    triangle,
    queries,
    boxes,
    row_limits,
    n_rows,
    scratch,
    pairs,
    counts,
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
    least = np.int32(-1)
    count, tested = counts[0], counts[1]
    for number in range(start, superblocks.shape[0]):
        if pairs.shape[0] - count < (last - first) * SUPERBLOCK_ROWS:
            counts[0], counts[1] = count, tested
            return number
        superblock = np.int64(superblocks[number])
        end = min(last, (superblock + 1) * SUPERBLOCK_ROWS) if triangle else last
        if row_limits is not None:
            least = row_limits[3][superblock]
        size = 0
        for query in range(first, end, BOX_QUERIES):
            near = np.int64(
                near_boxes(points, query, super_low, super_high, superblock, box_limits, least)
            )
            near &= _first_bits(end - query)
            for j in range(BOX_QUERIES):
                listed[size + j] = np.int32(query + _SET_BITS[near, j])
            size += np.int64(_N_SET_BITS[near])
        if size == 0:
            continue
        for j in range(size):
            near_points[j] = points[listed[j]]
            near_limits[j] = box_limits[listed[j]]
        first_block = superblock * SUPERBLOCK_BLOCKS
        for block in range(first_block, min(low.shape[0], first_block + SUPERBLOCK_BLOCKS)):
            if row_limits is not None:
                least = row_limits[2][block]
            n_chosen = 0
            for group in range(0, size, BOX_QUERIES):
                near = np.int64(
                    near_boxes(near_points, group, low, high, block, near_limits, least)
                )
                near &= _first_bits(size - group)
                for j in range(BOX_QUERIES):
                    chosen[n_chosen + j] = np.int32(group + _SET_BITS[near, j])
                n_chosen += np.int64(_N_SET_BITS[near])
            tested += n_chosen * BLOCK_ROWS
            for j in range(n_chosen, n_chosen + TILE_QUERIES):
                chosen[j] = 0
            for group in range(0, n_chosen, TILE_QUERIES):
                if near_rows(
                    row_codes,
                    block,
                    halves,
                    codes,
                    axes,
                    listed,
                    chosen,
                    group,
                    limits,
                    row_limits,
                    masks,
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
def near_pairs_of_one(start, queries, boxes, n_rows, scratch, pairs, counts):
    """As `near_pairs` of query 0 with the superblocks from number `start` on, at least eight."""
    points, codes, box_limits, limits = queries
    row_codes, halves, low, high, super_low, super_high = boxes
    _, _, listed, chosen, masks = scratch
    n_superblocks, n_blocks = super_low.shape[0], low.shape[0]
    listed[0] = chosen[0] = 0
    count, tested = counts[0], counts[1]
    none = np.int32(-1)
    for first in range(start, n_superblocks, BOX_QUERIES):
        # Eight boxes that are there: the last ones again, if fewer are left.
        eight = min(first, n_superblocks - BOX_QUERIES)
        near = np.int64(boxes_near(points, 0, super_low, super_high, eight, box_limits, none))
        near = near >> (first - eight)
        while near:
            superblock = first + lowest_bit(np.uint32(near))
            near &= near - 1
            if pairs.shape[0] - count < SUPERBLOCK_ROWS:
                counts[0], counts[1] = count, tested
                return superblock
            first_block = superblock * SUPERBLOCK_BLOCKS
            last_block = min(n_blocks, first_block + SUPERBLOCK_BLOCKS)
            for group in range(first_block, last_block, BOX_QUERIES):
                eight = min(group, n_blocks - BOX_QUERIES)
                blocks = np.int64(boxes_near(points, 0, low, high, eight, box_limits, none))
                blocks = blocks >> (group - eight)
                while blocks:
                    block = group + lowest_bit(np.uint32(blocks))
                    blocks &= blocks - 1
                    tested += BLOCK_ROWS
                    if rows_near(
                        row_codes,
                        block,
                        halves,
                        codes,
                        codes.shape[1],
                        listed,
                        chosen,
                        0,
                        limits,
                        None,
                        masks,
                    ):
                        mask = masks[0]
                        while mask:
                            row = np.int32(block * BLOCK_ROWS + lowest_bit(mask))
                            mask &= np.uint32(mask - np.uint32(1))
                            if row < n_rows:
                                pairs[count, 0] = 0
                                pairs[count, 1] = row
                                count += 1
    counts[0], counts[1] = count, tested
    return n_superblocks


@kernel
def refine_within(
    manhattan, limit, queries, query_places, rows, row_places, pairs, count, distances
):
    """Move the pairs within a limit to the front of `pairs`; returns their number.

    queries, rows: uint8, as in `kernels.row_distance`; places: the row of each query and of
    each row in them, int32; distances: (capacity,) int32, of the pairs that are left.
    """
    kept = 0
    for number in range(count):
        query, row = pairs[number, 0], pairs[number, 1]
        places = query_places[query], row_places[row]
        if manhattan:
            distance = np.int32(manhattan_distance(queries, places[0], rows, places[1]))
        else:
            distance = np.int32(squared_distance(queries, places[0], rows, places[1]))
        if distance <= limit:
            pairs[kept, 0] = query
            pairs[kept, 1] = row
            distances[kept] = distance
            kept += 1
    return kept


@kernel
def refine_nearest(first, skipped, queries, rows, numbers, pairs, count, neighbours):
    """Put the rows of pairs into the heaps of their queries, where they are nearer in L2.

    queries, rows: uint8, as in `kernels.row_distance`, at their places; numbers: (m,) int32, of
    rows; neighbours: (n, k) int64, a heap for each query: squared distance * 2^32 + number, the
    largest first. A row that is at most `skipped` places from the query's, which is `first` +
    query, is left out.
    """
    for pair in range(count):
        query, row = pairs[pair, 0], pairs[pair, 1]
        if abs(row - query - first) <= skipped:
            continue
        distance = np.int32(squared_distance(queries, query, rows, row))
        candidate = (np.int64(distance) << 32) + np.int64(numbers[row])
        if candidate < neighbours[query, 0]:
            insert_neighbour(neighbours[query], candidate)


@kernel
def refine_mutual(skipped, rows, pairs, count, neighbours, distances):
    """Move the pairs that may enter a heap to the front of `pairs`; returns their number.

    rows: uint8, as in `kernels.row_distance`, at their places; pairs: of these, of which those
    at most `skipped` places apart are left out; neighbours: (n, k) int64, a heap for each;
    distances: (capacity,) int32, squared L2, of the pairs that are left.
    """
    kept = 0
    for pair in range(count):
        a, b = pairs[pair, 0], pairs[pair, 1]
        if abs(b - a) <= skipped:
            continue
        distance = np.int32(squared_distance(rows, a, rows, b))
        if distance <= max(neighbours[a, 0], neighbours[b, 0]) >> 32:
            pairs[kept, 0], pairs[kept, 1] = a, b
            distances[kept] = distance
            kept += 1
    return kept


@kernel
def insert_mutual(numbers, pairs, distances, count, neighbours):
    """Put both rows of pairs into the heap of the other, where they are nearer.

    numbers: (n,) int32, of rows; the rest is as in `refine_mutual`.
    """
    for pair in range(count):
        a, b = pairs[pair, 0], pairs[pair, 1]
        distance = np.int64(distances[pair]) << 32
        for row, other in ((a, b), (b, a)):
            candidate = distance + np.int64(numbers[other])
            if candidate < neighbours[row, 0]:
                insert_neighbour(neighbours[row], candidate)


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
