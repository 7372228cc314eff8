"""Hashes in JSON text, which the standard library parses ten times slower."""

import numpy as np

from photodna_nb.kernels.jit import kernel

HASH_BYTES = 144


@kernel
def parse_hashes(text, out):
    """Parse JSON lists of 144 numbers each, and return whether the text is nothing else.

    text: (t,) uint8, such as ``[1, 2, …][3, …]``; out: (n, 144) uint8.
    """
    position, size = 0, text.shape[0]
    for row in range(out.shape[0]):
        if position == size or text[position] != 0x5B:  # [
            return False
        position += 1
        for i in range(HASH_BYTES):
            while position < size and (text[position] == 0x20 or 0x09 <= text[position] <= 0x0D):
                position += 1
            value, digits = np.int32(0), 0
            while position < size and 0x30 <= text[position] <= 0x39 and digits < 4:
                value = np.int32(value * 10 + np.int32(text[position]) - 0x30)
                digits += 1
                position += 1
            if digits == 0 or value > 255:
                return False
            while position < size and (text[position] == 0x20 or 0x09 <= text[position] <= 0x0D):
                position += 1
            # A comma, and after the last number a bracket.
            if position == size or text[position] != (0x5D if i == HASH_BYTES - 1 else 0x2C):
                return False
            position += 1
            out[row, i] = value
    return position == size
