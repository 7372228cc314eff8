"""Draw the README's badges, `data/figures/badge_*.svg`, from pyproject.toml and the version.

A reader fetches them from the repository, and from nowhere else. Run it again after a change of the
version, the licence, the classifiers of Python versions or the development status;
tests/test_packaging.py compares the files with what it draws.

Usage: ``python data/draw_badges.py``
"""

import re
import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
LETTER = 6.6  # pixels, of about 11; browsers squeeze or stretch the text to `textLength`

BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{title}">
<title>{title}</title>
<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)"><path fill="#444" d="M0 0h{left}v20H0z"/>\
<path fill="#0b5a8a" d="M{left} 0h{right}v20H{left}z"/></g>
<g fill="#fff" font-family="DejaVu Sans,Verdana,sans-serif" font-size="11">
<text x="6" y="14" textLength="{left_text}">{label}</text>
<text x="{start}" y="14" textLength="{right_text}">{value}</text>
</g>
</svg>
"""


def badge(label: str, value: str) -> str:
    """Return the text of an SVG file with a label and its value."""
    left_text, right_text = (round(LETTER * len(text)) for text in (label, value))
    left, right = left_text + 12, right_text + 12
    return BADGE.format(
        title=escape(f"{label}: {value}"),
        label=escape(label),
        value=escape(value),
        width=left + right,
        left=left,
        right=right,
        left_text=left_text,
        right_text=right_text,
        start=left + 6,
    )


def badges() -> dict[str, str]:
    """Return the name of each file, and what is in it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package = (ROOT / "photodna_nb" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.*)"$', package, re.MULTILINE)
    named = "\n".join(project["classifiers"])
    (status,) = re.findall(r"^Development Status :: \d - (.*)$", named, re.MULTILINE)
    pythons = re.findall(r"^Programming Language :: Python :: (\d+\.\d+)$", named, re.MULTILINE)
    return {
        "badge_version.svg": badge("version", f"{version} ({status.lower()})"),
        "badge_python.svg": badge("Python", " | ".join(pythons)),
        "badge_licence.svg": badge("licence", project["license"]),
    }


if __name__ == "__main__":
    for name, text in badges().items():
        (ROOT / "data" / "figures" / name).write_text(text, encoding="utf-8")
