"""One query against many rows as they lie, and the text of hashes.

Nothing is laid out first, as `distance.py` has it: with few queries that would take
longer than the search, which here waits for memory alone.
"""

import numpy as np

from photodna_nb.kernels.jit import kernel

HASH_BYTES = 144

# Rows whose distances are computed before they are looked at: few enough for the first cache.
_BLOCK = 256


@kernel
def closest(rows, first, queries, k, bounds, counts, keys):
    """Keep the keys, distance * 2^32 + row, of the `k` rows nearest to each query.

    rows: (n, 144) uint8, numbered from `first`; queries: (q, 144) int16;
    bounds: (q,) int32, the largest squared distance that counts, lowered as rows are found;
    counts: (q,) int64, of keys so far; keys: (q, c) int64, with c > k, or c at least the
    number of all rows. Afterwards the first `counts` keys hold the nearest, in no order.
    """
    distances = np.empty(_BLOCK, np.int32)
    for start in range(0, rows.shape[0], _BLOCK):
        size = min(_BLOCK, rows.shape[0] - start)
        for q in range(queries.shape[0]):
            query = queries[q]
            for r in range(size):
                total = np.int32(0)
                for i in range(HASH_BYTES):
                    # int16, for the instruction that multiplies and adds pairs of them.
                    d = np.int16(np.int16(rows[start + r, i]) - query[i])
                    total = np.int32(total + np.int32(np.int32(d) * np.int32(d)))
                distances[r] = total
            for r in range(size):
                if distances[r] <= bounds[q]:
                    if counts[q] == keys.shape[1]:
                        keys[q].sort()
                        counts[q] = k
                        bounds[q] = min(bounds[q], np.int32(keys[q, k - 1] >> 32))
                    row = np.int64(first) + start + r
                    keys[q, counts[q]] = (np.int64(distances[r]) << 32) + row
                    counts[q] += 1


@kernel
def parse_hashes(text, out):
    """Read the numbers of JSON lists, one after the other, and return whether all went well.

    text: (t,) uint8, such as ``[1, 2, …][3, …]``; out: (n, 144) uint8.
    """
    at, n = 0, text.shape[0]
    for row in range(out.shape[0]):
        if at == n or text[at] != 0x5B:  # [
            return False
        at += 1
        for i in range(HASH_BYTES):
            while at < n and (text[at] == 0x20 or 0x09 <= text[at] <= 0x0D):
                at += 1
            value, digits = np.int32(0), 0
            while at < n and 0x30 <= text[at] <= 0x39 and digits < 4:
                value = np.int32(value * 10 + np.int32(text[at]) - 0x30)
                digits += 1
                at += 1
            if digits == 0 or value > 255:
                return False
            while at < n and (text[at] == 0x20 or 0x09 <= text[at] <= 0x0D):
                at += 1
            # A comma, and after the last number a bracket.
            if at == n or text[at] != (0x5D if i == HASH_BYTES - 1 else 0x2C):
                return False
            at += 1
            out[row, i] = value
    return at == n
