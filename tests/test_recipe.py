"""The conda recipe is rendered for every system, and says the same as pyproject.toml.

No channel is asked for packages: that its requirements can be solved is not tested here.
"""

import subprocess
import sys

import pytest
from conftest import JIT_OFF, ROOT, needs
from repository import PROJECT, PYPROJECT, environment_with_program

import photodna_nb as pdna

rattler_build = pytest.importorskip("rattler_build", reason="needs py-rattler-build")
pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT")

RECIPE = ROOT / "conda" / "recipe.yaml"
SYSTEMS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")


def rendered(text: str, folder, system: str = "linux-64") -> dict:
    """The one package of a recipe, with all its expressions evaluated."""
    recipe = rattler_build.Stage0Recipe.from_yaml(text, recipe_dir=folder)
    platform = rattler_build.PlatformConfig(target_platform=system)
    (variant,) = recipe.render(
        rattler_build.VariantConfig(), rattler_build.RenderConfig(platform=platform)
    )
    return variant.recipe.to_dict()


def wanted() -> dict:
    """What pyproject.toml says, in the words of a recipe."""
    least = PROJECT["requires-python"].removeprefix(">=")
    backend = PYPROJECT["build-system"]["requires"]
    return {
        "package": {"name": PROJECT["name"], "version": pdna.__version__},
        "noarch": "python",
        "entry_points": [" = ".join(one) for one in PROJECT["scripts"].items()],
        "host": sorted([f"python {least}.*", "pip", *(one.replace(">", " >") for one in backend)]),
        "run": sorted(
            one.replace(">", " >") for one in [f"python>={least}", *PROJECT["dependencies"]]
        ),
        "python_version": f"{least}.*",
        "summary": PROJECT["description"],
        "license": PROJECT["license"],
        "license_file": PROJECT["license-files"],
    }


def said(recipe: dict) -> dict:
    build, about = recipe["build"], recipe["about"]
    return {
        "package": recipe["package"],
        "noarch": build["noarch"],
        "entry_points": build["python"]["entry_points"],
        "host": sorted(recipe["requirements"]["host"]),
        "run": sorted(recipe["requirements"]["run"]),
        "python_version": recipe["tests"][0]["python"]["python_version"],
        **{name: about[name] for name in ("summary", "license", "license_file")},
    }


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_recipe_is_in_step(system, tmp_path):
    recipe = rendered(RECIPE.read_text("utf-8"), tmp_path, system)
    assert said(recipe) == wanted()
    assert (RECIPE.parent / recipe["source"][0]["path"]).resolve() == ROOT
    for name in recipe["about"]["license_file"]:
        assert (ROOT / name).is_file()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("numba >=0.61", "numba >=0.60"),
        ("    - filelock >=3.12\n", ""),
        ("    - numpy >=2.0\n", "    - numpy >=2.0\n    - scipy >=1.13\n"),
        ("cli:script", "cli:main"),
        ('version: "0.', 'version: "9.'),
        ('python_min: "3.11"', 'python_min: "3.9"'),
        ("license: BSD-3-Clause", "license: MIT"),
        ("setuptools >=77", "setuptools >=61"),
    ],
)
def test_a_wrong_recipe_is_noticed(before, after, tmp_path):
    text = RECIPE.read_text("utf-8")
    assert before in text
    assert said(rendered(text.replace(before, after, 1), tmp_path)) != wanted()


def test_an_unknown_key_is_an_error(tmp_path):
    with pytest.raises(rattler_build.RecipeParseError, match="entry_point"):
        rendered(RECIPE.read_text("utf-8").replace("entry_points:", "entry_point:"), tmp_path)


@needs("sh")
@pytest.mark.long
def test_its_tests_pass_on_this_installation(tmp_path):
    recipe = rendered(RECIPE.read_text("utf-8"), tmp_path)
    python, contents, commands = (
        next(test[kind] for test in recipe["tests"] if kind in test)
        for kind in ("python", "package_contents", "script")
    )
    environment = environment_with_program(tmp_path)
    imports = "; ".join(f"import {name}" for name in python["imports"])
    subprocess.run([sys.executable, "-c", imports], env=environment, check=True)
    for name in contents["site_packages"]:
        assert (ROOT / name).is_file()
    (files,) = (test["files"]["source"] for test in recipe["tests"] if "files" in test)
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)
    for command in commands:
        subprocess.run(command, shell=True, cwd=tmp_path, env=environment, check=True)
    assert len(commands) >= 3
