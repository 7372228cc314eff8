"""Print pins to the lowest version of every requirement of the package and its tests."""

import re
import tomllib
from pathlib import Path

path = Path(__file__).parent.parent / "pyproject.toml"
project = tomllib.loads(path.read_text("utf-8"))["project"]
remaining = [*project["dependencies"], "photodna_nb[test]"]
pins = set()
while remaining:
    requirement = remaining.pop()
    if extras := re.fullmatch(r"photodna_nb\[(.*)\]", requirement):
        for name in extras[1].split(","):
            remaining += project["optional-dependencies"][name]
    else:
        pins.add(requirement.replace(">=", "=="))
print(*sorted(pins), sep="\n")
