"""Print pins to the lowest version of every requirement of the package and its tests."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
own = [
    one
    for name in ("test", "tables", "evaluation", "report", "distributed", "heif", "jxl")
    for one in extras[name]
]
for requirement in [*project["dependencies"], *own]:
    if not requirement.startswith("photodna_nb["):
        print(requirement.replace(">=", "=="))
