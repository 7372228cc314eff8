"""The description of the package on an index: README.md without what only a checkout can show."""

import re
from pathlib import Path

NOTE = "*The pages, pictures and notebooks that this text names are in the source distribution.*"


def description(readme: str) -> str:
    """Return Markdown without pictures from files, and with the text alone of links to files."""
    elsewhere = r"\((?!https?:)[^)]*\)"
    readme = re.sub(rf"^(!\[[^]]*\]{elsewhere}\s*)+\n", "", readme, flags=re.MULTILINE)
    readme = re.sub(rf"\[([^]]*)\]{elsewhere}", r"\1", readme)
    return readme.replace("\n\n", f"\n\n{NOTE}\n\n", 1)


if __name__ == "__main__":
    from setuptools import setup

    setup(
        long_description=description(Path("README.md").read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
    )
