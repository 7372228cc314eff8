"""Hashers of a user's own, which runs of the tests name as ``own_hashers:Bright``."""

import numpy as np

from photodna_nb import hashers


class Bright(hashers.Hasher):
    """64 bits, and a quality."""

    name, length, quality, low_quality = "bright", 64, "contrast", 20.0

    def compute(self, image):
        grey = np.asarray(image.convert("L").resize((8, 8))).astype(int)
        return (grey > grey.mean()).reshape(-1), grey.std()


class Sums(hashers.Hasher):
    """Nine bytes by their sums of differences; it spoils the image that it is given."""

    name, length, metric = "sums", 9, "manhattan"

    def compute(self, image):
        values = np.asarray(image.convert("L").resize((3, 3))).reshape(-1)
        image.paste((0, 0, 0), (0, 0, *image.size))
        return values


class Picky(Sums):
    """It cannot hash what is wider than high by less than a third, nor mirrored images."""

    name = "picky"
    stops_at = None  # an error that is no failure of one image

    def compute(self, image):
        values = super().compute(image.copy())
        if Picky.stops_at is not None and values.sum() % 7 == Picky.stops_at:
            raise KeyboardInterrupt
        if values[0] > values[-1]:
            raise ValueError("too dark below")
        return values
