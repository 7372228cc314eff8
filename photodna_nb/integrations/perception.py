"""A hasher of the package perception, for its deduplication and its benchmarks.

    from perception import tools
    from photodna_nb.integrations.perception import PhotodnaHasher

    pairs = tools.deduplicate(files, [(PhotodnaHasher(), 100)])

Needs the extra ``perception``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ImageError, optional_package
from photodna_nb.hashing.files import hash_image
from photodna_nb.hashing.orientations import ORIENTATIONS, Orientation, orientations

with optional_package(__name__, "perception", "perception"):
    from perception.hashers import ImageHasher

__all__ = ["PhotodnaHasher"]

# The orientations of perception: vertical and horizontal flips, and rotations counter-clockwise.
_NAMES: dict[str, Orientation] = {
    "r0": "identity",
    "fv": "flip_top_bottom",
    "fh": "flip_left_right",
    "r180": "rotate_180",
    "r90": "rotate_90",
    "r90fv": "transpose",
    "r90fh": "transverse",
    "r270": "rotate_270",
}
# Of each orientation that is hashed, the one of the transposed image, whose hash is a permutation.
_TRANSPOSED = {"r0": "r90fv", "fv": "r270", "fh": "r90", "r180": "r90fh"}


class PhotodnaHasher(ImageHasher):
    """The PhotoDNA-like hash as an image hasher of perception.

    Its distances are L2 distances from 0 to 3060, as those of `photodna_nb.distance`.

    Notes
    -----
    perception reads a path with OpenCV, which applies the EXIF orientation and scales 16-bit grey
    to 8 bits. Such a file has another hash than `photodna_nb.hash_file` gives; an image that
    Pillow has opened has the same: ``compute(PIL.Image.open(path))``.

    ``compute_isometric`` hashes the image in four orientations; the hashes of the other four are
    permutations of these, and exact. ``compute_isometric_from_hash`` has no pixels, and permutes
    one hash as `photodna_nb.orientations` does, whose hashes of six orientations are near ones.

    The quality is perception's own, that of PDQ, from 0 to 100, and not the detail.

    A path whose name is not UTF-8 raises an `ImageError`, since OpenCV would end the process.
    """

    distance_metric = "euclidean"
    dtype = "uint8"
    hash_length = HASH_BYTES

    def compute(self, image: Any, hash_format: str = "base64") -> Any:
        """Return the hash of an image.

        Parameters
        ----------
        image : str, PIL.Image.Image, file object or ndarray of uint8, (height, width, 3)
            A path or web address that OpenCV reads, an image, or pixels.
        hash_format : str
            ``"base64"``, ``"hex"`` (hexadecimal digits) or ``"vector"``.

        Returns
        -------
        str or ndarray of uint8, (144,)
            The hash as text; for ``"vector"``, its bytes.

        Raises
        ------
        ImageError
            The name of the file is not UTF-8.
        ArgumentError, ArgumentTypeError
            The image has less than 2 x 2 pixels, or pixels that are not uint8.
        """
        return super().compute(_with_safe_name(image), hash_format)

    def compute_isometric(self, image: Any) -> Any:
        """Return the hashes in base64 of an image, see `compute`, in eight orientations by name."""
        return super().compute_isometric(_with_safe_name(image))

    def compute_with_quality(self, image: Any, hash_format: str = "base64") -> Any:
        """Return the hash of an image, see `compute`, and perception's quality, 0 to 100."""
        return super().compute_with_quality(_with_safe_name(image), hash_format)

    def _compute(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return hash_image(image)

    def _compute_isometric(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        turned = {"r0": image, "fv": image[::-1], "fh": image[:, ::-1], "r180": image[::-1, ::-1]}
        hashes = {name: hash_image(pixels) for name, pixels in turned.items()}
        transpose = ORIENTATIONS.index("transpose")
        hashes |= {_TRANSPOSED[name]: orientations(one)[transpose] for name, one in hashes.items()}
        return {name: hashes[name] for name in _NAMES}

    def _compute_isometric_from_hash(
        self, vector: NDArray[np.uint8]
    ) -> dict[str, NDArray[np.uint8]]:
        eight = orientations(vector)
        return {name: eight[ORIENTATIONS.index(one)] for name, one in _NAMES.items()}


def _with_safe_name(image: Any) -> Any:
    """Return what perception reads; OpenCV crashes where a name cannot be encoded."""
    if isinstance(image, str):
        try:
            image.encode()
        except UnicodeEncodeError as error:
            raise ImageError(
                image,
                "OpenCV cannot read a file whose name is not UTF-8; give perception the image "
                "that PIL.Image.open returns, or rename the file",
            ) from error
    return image
