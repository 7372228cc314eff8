"""Print version and path of each other Python that the package allows, of pyenv and on PATH."""

import os
import subprocess
import sys
from pathlib import Path

LOWEST = (3, 11)
VERSION = "import sys; print(*sys.version_info[:2])"

pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
folders = [*sorted(pyenv.glob("*/bin")), *map(Path, os.environ["PATH"].split(os.pathsep))]
found = {}
for path in [path for folder in folders for path in sorted(folder.glob("python3.[0-9]*"))]:
    if path.suffix[1:].isdigit() and os.access(path, os.X_OK):
        done = subprocess.run([path, "-c", VERSION], capture_output=True, text=True, check=False)
        if done.returncode == 0:  # pyenv has names on PATH for versions that are not active
            found.setdefault(tuple(map(int, done.stdout.split())), path)
for version in sorted(found):
    if version >= LOWEST and version != sys.version_info[:2]:
        print(f"{version[0]}.{version[1]}", found[version])
