"""What the integrations say where their packages are missing; each has tests of its own beside."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["perception", "threatexchange"])
def test_a_missing_package_is_named(name):
    code = f"import sys; sys.modules[{name!r}] = None; import photodna_nb.integrations.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    message = f"photodna_nb.integrations.{name}: the package {name} is missing"
    assert f'{message}; pip install "photodna_nb[{name}]"' in done.stderr
