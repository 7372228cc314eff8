"""The texts of the repository: its project file, its pages, and the commands that these show."""

import os
import re
import sys
import tomllib

from conftest import ROOT


def text_of(name):
    """Return the text of a file, by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


PYPROJECT = tomllib.loads(text_of("pyproject.toml"))
PROJECT = PYPROJECT["project"]
PYTHONS = re.findall(r"^.* :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)


def blocks(text, language):
    """Return the blocks of code in a language, of a text in Markdown."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text):
    """Return the lines of the shell's blocks."""
    lines = "".join(blocks(text, "sh")).splitlines()
    return [line for line in lines if line.strip()]


def environment_with_program(folder):
    """Return an environment in which ``photodna-nb``, written into a folder, is this package."""
    program = folder / "bin" / "photodna-nb"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m photodna_nb "$@"\n')
    program.chmod(0o755)
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(path),
    }
