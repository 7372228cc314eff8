"""What the README shows is what the programs print."""

import doctest
import os
import re
import subprocess
import sys

import pytest
from conftest import JIT_OFF, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
HOME = "/home/you/photodna_nb"

pytestmark = pytest.mark.skipif(JIT_OFF, reason="says nothing about the kernels")


def examples():
    """(command, what it prints), in order."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def test_every_command_prints_what_is_shown(tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    program = tmp_path / "bin" / "photodna-nb"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m photodna_nb "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    wanted = examples()
    assert len(wanted) >= 8
    for command, output in wanted:
        result = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        shown = result.stdout.replace(str(ROOT), HOME)
        assert (shown, result.returncode) == (output, 0), f"{command}\n{result.stderr}"
    for mode in ("--hash ", "--hash-dir", "--compare", "--faiss-build", "--faiss-convert"):
        assert any(mode in command for command, _ in wanted)


def test_python_examples(monkeypatch):
    monkeypatch.chdir(ROOT)
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False, encoding="utf-8")
    assert result.attempted >= 5
    assert result.failed == 0


def test_names_and_links():
    import photodna_nb as pdna

    for name in pdna.__all__:
        assert getattr(pdna, name) is not None
        assert name in dir(pdna)
    for name in ("hash_file", "trace", "detail", "HashIndex", "ImageError"):
        assert f"`{name}" in README
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) >= 5
    for link in links:
        assert (ROOT / link).exists(), link


def test_without_matplotlib(monkeypatch):
    import photodna_nb as pdna

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in list(sys.modules):
        if name.startswith("matplotlib."):
            monkeypatch.setitem(sys.modules, name, None)
        elif name.startswith("photodna_nb.plots"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(vars(pdna), "plots", raising=False)
    assert not hasattr(pdna, "plots")
    with pytest.raises(AttributeError, match=r"pip install .photodna_nb\[report\]"):
        _ = pdna.plots
    assert "plots" not in dir(pdna)


def test_an_unknown_name_is_an_attribute_error():
    import photodna_nb as pdna

    with pytest.raises(AttributeError, match="'photodna_nb' has no attribute 'hsh'"):
        _ = pdna.hsh
