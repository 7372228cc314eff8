"""Errors of images: what Pillow and the file system raise, with a reason and a remedy."""

from __future__ import annotations

import re

import PIL
from PIL import Image

from photodna_nb.errors import ErrorContext, ImageError, remedy_of
from photodna_nb.printable import printable

_SAVE_AGAIN = "open it in an image program and save it as PNG or JPEG"
UNIDENTIFIED = (
    "is not an image that Pillow can identify, or is cut off in its header; "
    f"if it opens elsewhere, {_SAVE_AGAIN}"
)


def image_errors(name: str | None) -> ErrorContext:
    """Return a context that turns what Pillow and the file system raise into an ImageError.

    Pillow's plug-ins raise nearly every built-in exception on damaged files. Their warnings are
    no errors, and are ignored in `ignored_warnings`, whatever the filters of warnings say.
    """

    def translated(error: BaseException) -> ImageError | None:
        if isinstance(error, ImageError) or not isinstance(error, Exception):
            return None
        refused = ImageError(name, _reason(error))
        refused.of_system = isinstance(error, MemoryError) or (
            getattr(error, "errno", None) is not None
        )
        return refused

    return ErrorContext(translated)


def too_large(subject: str) -> str:
    """Return the reason for an image that is over the limit of Pillow."""
    return (
        f"{subject} over the limit of {Image.MAX_IMAGE_PIXELS} pixels (a decompression bomb?); "
        "if you trust the file, raise the limit: --max-pixels N on the command line, "
        "PIL.Image.MAX_IMAGE_PIXELS = N in Python"
    )


def damaged_header(kind: str) -> str:
    """Return the reason for a file that begins as an image and cannot be identified."""
    return (
        f"begins as an image ({kind}) and is damaged or cut off in its header, or of a variant "
        f"that Pillow does not support; get a complete copy, or {_SAVE_AGAIN}"
    )


def _reason(error: Exception) -> str:
    text = str(error)
    match error:
        case FileNotFoundError():
            return f"no such file; {remedy_of(error, 'check the path')}"
        case PermissionError():
            remedy = remedy_of(error, "make the file readable for this user")
            return f"permission denied; {remedy}"
        case PIL.UnidentifiedImageError():
            return UNIDENTIFIED
        case Image.DecompressionBombError():
            size = re.search(r"\d+ pixels", text)
            return too_large(f"{size[0] if size else 'its pixels'} are")
        case MemoryError():
            return "does not fit into memory; free some, or use a smaller version of the image"
        case OSError() if error.errno is not None:
            remedy = remedy_of(error, "check the disk and the path")
            return f"cannot be read ({_quoted(error)}); {remedy}"
        case ValueError() if "MAX_TEXT_" in text:
            return (
                "is whole, but a text or colour profile in it is larger than Pillow unpacks; "
                "hash_file reads PNG files all the same, and others if "
                "PIL.PngImagePlugin.MAX_TEXT_CHUNK is raised"
            )
        case ValueError() if "closed image" in text:
            return "is closed; open it again"
        case _:
            problem, remedy = _problem_and_remedy(text.lower())
    return f"{problem} ({_quoted(error)}); {remedy}, or {_SAVE_AGAIN}"


def _problem_and_remedy(text: str) -> tuple[str, str]:
    """Return what is wrong and what to do, from Pillow's message, for which it has no class.

    Where Pillow's words change, the last line applies.
    """
    if "truncated" in text:
        return "is truncated or damaged", "get a complete copy"
    if "find loader" in text or "unable to locate" in text or "not available" in text:
        return "needs a program or codec that is not installed", "install it"
    return "is damaged, or of a variant that Pillow does not support", "get a complete copy"


def _quoted(error: Exception) -> str:
    """Return the foreign message on one short line, safe to print."""
    text = getattr(error, "strerror", None) or str(error) or "no reason given"
    return printable(f"{type(error).__name__}: {text}"[:200])
