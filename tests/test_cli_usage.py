"""Help, wrong usage and completion: what they say is what the command line takes."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, needs
from test_cli import text, wrong_usage

from photodna_nb import cli
from photodna_nb.cli import index_modes
from photodna_nb.cli.completion import parser_for
from photodna_nb.cli.help import entries, entry_of, groups_of_modes, modes_about, sections
from photodna_nb.cli.options import MODES, OPTIONS, flag, options_of
from photodna_nb.cli.parser import parse


def test_no_argument_prints_the_help_in_short(call):
    printed = text(call())
    assert printed == text(call("--help")) == text(call("-h"))
    assert printed.count("\n") < 50
    assert max(map(len, printed.splitlines())) <= 81
    for mode in MODES:
        assert len(re.findall(rf"^  {flag(mode)}  +\S", printed, re.MULTILINE)) == 1
    assert printed.endswith(f"{sections()['exit status']}\n")


def test_the_text_has_each_mode_and_each_option():
    assert [mode for group in groups_of_modes().values() for mode in group] == list(MODES)
    assert list(entries("options")) == list(OPTIONS)
    assert set(cli.FUNCTIONS) == set(MODES)


@pytest.mark.parametrize("mode", MODES)
def test_the_help_of_a_mode(call, mode):
    printed = text(call("--help", mode))
    for arguments in (["--help", flag(mode)], [flag(mode), "--help"], [flag(mode), "a", "b", "-h"]):
        assert text(call(*arguments)) == printed
    for option in OPTIONS:
        described = f"\n  {flag(option)}" in printed
        assert described == (option in options_of(mode) and option != mode)
    assert ("3 if nothing" in printed) == ("exit_code" in options_of(mode))
    assert " ".join(printed.split()).endswith("130 after Ctrl-C")
    entry = entry_of(mode)
    assert f"usage: photodna-nb {entry.usage}" in printed
    assert len(entry.paragraphs[0]) <= 58
    assert entry.examples
    for example in entry.examples:
        assert f"\n  {example}\n" in printed
        command = example.split(" | ")[-1].split(" > ")[0]
        program, *arguments = shlex.split(command)
        assert program == "photodna-nb"
        assert parse(arguments).mode == mode


def test_the_help_of_an_option(call):
    for option, (modes, _) in OPTIONS.items():
        printed = text(call("--help", flag(option)))
        if option not in MODES:
            assert set(re.findall(r"--[\w-]+", printed.split("Goes with")[1])) == {
                flag(mode) for mode in modes.split()
            }
        for paragraph in entries("options")[option].paragraphs:
            assert set(modes_about(paragraph)[0]) <= set(modes.split())
    assert "--format {text,oaphotodna}\n" in text(call("--help", "faiss-query"))
    assert "Only queries" in text(call("--help", "--min-detail"))
    assert "With --compare: The nearest" in text(call("--help", "orientations"))
    assert "With --compare" not in text(call("--help", "faiss-query"))
    assert "The nearest of the eight" in text(call("--help", "compare"))


def test_all_of_the_help(call):
    printed = text(call("--help", "all"))
    for name in {*MODES, *OPTIONS}:
        assert f"\n  {flag(name)}" in printed
    assert sections()["notes"] in printed
    assert f"TOP_K (default {index_modes.TOP_K})" in printed


def test_the_documentation_has_each_mode_and_each_option():
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    assert {flag(name) for name in {*MODES, *OPTIONS}} <= set(re.findall(r"--[\w-]+", page))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--metric", "manhattan"], "a mode is needed; for example: photodna-nb --"),
        (["--hash", "a", "--compare", "a", "b"], "--hash and --compare are two modes; give one"),
        (["--hash"], "--hash needs IMAGE, got nothing; for example: photodna-nb --hash photo.jpg"),
        (["--hash", "a", "b c"], "needs IMAGE, got a 'b c'; for more: printf '%s\\n' a.jpg"),
        (["--hash-dir", "a", "b"], "needs DIRECTORY, got a b; for more: photodna-nb --files-from"),
        (["--files-from", "a", "5"], "got 5; for more: photodna-nb --faiss-query INDEX META TOP_K"),
        (
            ["--compare", "a"],
            "needs IMAGE1 IMAGE2, got a; for example: photodna-nb --compare a.jpg",
        ),
        (["--evaluate-example", "a"], "--evaluate-example needs no operand, got a"),
        (["--faiss-build", "i", "m"], "--faiss-build needs INDEX META PATH [PATH ...], got i m"),
        (["--faiss-add", "i"], "--faiss-add needs INDEX META PATH [PATH ...], got i;"),
        (["--faiss-query", "i", "m"], "--faiss-query needs INDEX META PATH"),
        (["--faiss-remove", "i", "m"], "--faiss-remove needs INDEX META ITEM [ITEM ...]"),
        (
            ["--faiss-remove", "i", "m", "--files-from", "a"],
            "--files-from does not go with --faiss-remove",
        ),
        (["--faiss-query", "i", "m", "q", "--min-detail", "much"], "--min-detail: got 'much'"),
        (
            ["--faiss-build", "i", "m", "a", "--index-type", "pq"],
            "argument --index-type: got 'pq', needs flat",
        ),
        (
            ["--faiss-add", "i", "m", "a", "--json"],
            "--json does not go with --faiss-add; it goes with --faiss-query, ",
        ),
        (
            ["--faiss-query", "i", "m", "q", "0"],
            "argument TOP_K: got '0', needs an integer of at least 1",
        ),
        (
            ["--faiss-query", "i", "m", "q", "--min-similarity", "1.5"],
            "argument --min-similarity: got 1.5",
        ),
        (["--faiss-query", "i", "m", "q", "--max-distance", "x"], "argument --max-distance: got x"),
        (["--faiss-query", "i", "m", "q", "--max-distance=-1"], "argument --max-distance: got -1"),
        (
            ["--hash", "a", "--metric", "manhattan"],
            "--metric does not go with --hash; it goes with --compare",
        ),
        (["--hash", "a", "--min-similarity", "0.9"], "--min-similarity does not go with --hash"),
        (["--hash", "a", "--overwrite"], "--overwrite does not go with --hash"),
        (["--compare", "a", "b", "--metric", "cosine"], "invalid choice: 'cosine'"),
        (["--has", "a"], "--has: unknown mode or option; the nearest is --hash;"),
        (["--faiss_query", "i", "m", "q"], "the nearest is --faiss-query;"),
        (["--fais-querry=i", "m", "q"], "--fais-querry=i: unknown mode or option; the nearest is"),
        (["--hash-dir", "a", "--recursiv"], "--recursiv: unknown mode or option; the nearest is"),
        (["--xyzzy"], "--xyzzy: unknown mode or option; photodna-nb --help all lists them"),
        (["--help", "querry"], "querry: unknown mode or option; photodna-nb --help all"),
        (["--help", "faiss-querry"], "the nearest is --faiss-query;"),
        (["hash", "a"], "hash: unknown mode; the nearest is --hash: photodna-nb --hash IMAGE;"),
        (["nothing", "a"], "nothing: unknown mode; photodna-nb --help lists the modes"),
        (["tests"], "a mode is needed; for a folder: photodna-nb --duplicates tests"),
        (["x.csv"], "x.csv: unknown mode; photodna-nb --help lists the modes"),
        (
            ["--faiss-add", "tests", "m", "a"],
            "tests: is a folder, and INDEX and META are files; for",
        ),
        (["--faiss-list", "i", "data"], "data: is a folder, and INDEX and META are files; for"),
        (
            ["--faiss-build", "meta.json", "index.faiss", "a"],
            "meta.json is given as INDEX and index.faiss as META; exchange them: for example",
        ),
        (["README.md"], "a mode is needed; for an image: photodna-nb --hash README.md"),
        (["--hash", "a", "--hash", "b"], "--hash is given twice"),
        (["--compare", "a", "b", "--compare", "c", "d"], "--compare is given twice"),
        (["--hash", "a", "--min-similarity", ""], "--min-similarity does not go with --hash"),
        (["--faiss-rebuild", "i", "m", "--max-pixels", "9"], "--max-pixels does not go with"),
        (
            ["--hash", "a", "--recursive"],
            "--recursive does not go with --hash; it goes with --hash-dir",
        ),
        (["--hash", "a", "--jobs", "2"], "--jobs does not go with --hash; it"),
        (["--hash", "a", "--files-from", "-"], "--files-from does not go with --hash"),
        (["--match", "a", "b", "--json"], "--json does not go with --match; give --format json"),
        (["--faiss-add", "i", "m", "a", "--recursive"], "--faiss-add; folders below are included"),
        (["--hash-dir", "a", "--jobs", "many"], "argument --jobs: got 'many'"),
        (["--hash-dir", "a", "--jobs"], "argument --jobs: expected one argument"),
        (["--max-pixels", "0", "--hash", "a"], "argument --max-pixels: got '0', needs an integer"),
        (["--hash", "a", "\x1b[31m"], "\\x1b[31m"),
        (["--hash-dir", "a", "--jobs", "1", "--jobs", "2"], "--jobs is given twice"),
        (["--faiss-query", "i", "m", "a.jpg", "-1"], "argument TOP_K: got '-1', needs an integer"),
        (["--faiss-query", "i", "m", "a.jpg", "2.5"], "argument TOP_K: got '2.5', needs an int"),
        (["--hash-dir", "a", "--resume"], "--resume goes with --output"),
        (
            ["--faiss-sync", "i", "m", "a", "--dry-run", "--compare-content"],
            "--compare-content goes without --dry-run, which opens no file",
        ),
        (["--hash-dir", "a", "--spreadsheet"], "--spreadsheet goes with --output FILE.csv"),
        (
            ["--hash-dir", "a", "--spreadsheet", "--output", "a.npz"],
            "--spreadsheet goes with --output FILE.csv",
        ),
        (["--hash-dir", "a", "--detail", "--output", "a.csv"], "--detail goes without --output"),
        (
            ["--match", "a", "b", "--format", "oaphotodna"],
            "--format oaphotodna does not go with --match; it takes text, csv, json or jsonl;",
        ),
        (
            ["--faiss-query", "i", "m", "q", "--format", "json"],
            "--format json does not go with --faiss-query; it takes text or oaphotodna; --json p",
        ),
        (
            ["--faiss-query", "i", "m", "q", "--json", "--format", "oaphotodna"],
            "--format goes without --json, which is a format",
        ),
        (
            ["--faiss-sync", "i", "m", "q", "--format", "oaphotodna"],
            "--format does not go with --faiss-sync; it goes with --duplicates, --match, --hash",
        ),
        (
            ["--hash-dir", "a", "--output", "a.csv", "--format", "oaphotodna"],
            "--format goes without --output",
        ),
        (["--faiss-list", "i", "m", "--format", "json"], "with --faiss-list; give --json;"),
        (["--faiss-add", "i", "m", "a", "--format", "xml"], "argument --format: invalid choice"),
    ],
)
def test_wrong_usage(call, arguments, words):
    assert words in wrong_usage(call(*arguments, cwd=ROOT))


def test_wrong_usage_shows_the_usage_of_the_mode(call):
    lines = call("--faiss-list", "i").stderr.decode().splitlines()
    assert lines[0] == "usage: photodna-nb --faiss-list INDEX META [options]"
    assert lines[1].endswith("; see photodna-nb --help faiss-list")
    lines = call("--json").stderr.decode().splitlines()
    assert lines[0] == "usage: photodna-nb MODE [options]"
    assert lines[1].endswith("; see photodna-nb --help")


def test_a_file_whose_name_begins_with_a_dash(call, tmp_path):
    (tmp_path / "-x.jpg").touch()
    message = wrong_usage(call("--hash", "-x.jpg", cwd=tmp_path))
    assert message.startswith("-x.jpg: unknown mode or option; the file of that name is ./-x.jpg;")
    assert parse(["--hash", "--", "-x.jpg"]).operands == ["-x.jpg"]
    assert parse(["--faiss-add", "i", "m", "a", "--", "--", "--help"]).operands[3:] == [
        "--",
        "--help",
    ]


def test_operands_may_stand_after_options():
    command = parse(["--faiss-query", "--jobs", "2", "i", "m", "--max-distance", "5", "q", "7"])
    assert (command.operands, command.options["top_k"]) == (["i", "m", "q"], 7)
    command = parse(["--faiss-query", "i", "m", "--files-from", "-", "7"])
    assert (command.operands, command.options["top_k"]) == (["i", "m"], 7)
    assert parse(["--faiss-query", "i", "m", "7"]).operands == ["i", "m", "7"], "a name of an image"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(call, shell):
    assert "photodna-nb" in text(call("--print-completion", shell))
    assert "invalid choice: 'tcsh'" in wrong_usage(call("--print-completion", "tcsh"))


def test_completion_offers_what_goes_with_the_mode():
    options = parser_for("photodna-nb --hash-dir photos --")._option_string_actions
    assert set(options) == {
        "--help", "--hash-dir", "--version", "--print-completion",
        *map(flag, options_of("hash_dir")),
    }  # fmt: skip
    assert options["--jobs"].help.startswith("How many images")
    every = parser_for("photodna-nb ")._option_string_actions
    assert {flag(name) for name in {*MODES, *OPTIONS}} <= set(every)


COMPLETIONS = {
    "photodna-nb --faiss-q": ["--faiss-query"],
    "photodna-nb --compare a b --met": ["--metric"],
    "photodna-nb --hash-dir a --format j": ["json"],
    "photodna-nb --compare a b --metric m": ["manhattan"],
    "photodna-nb --compare a b --faiss": [],
    "photodna-nb --hash pict": ["picture.jpg"],
    "photodna-nb --he": ["--help"],
    "photodna-nb --help faiss-s": ["faiss-sync"],
}
BASH = """
eval "$(photodna-nb --print-completion bash)"
function_name=$(complete -p photodna-nb | grep -o -- '-F [^ ]*' | cut -c 4-)
COMP_TYPE=9
while read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE}
    COMP_WORDS=($COMP_LINE)
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    $function_name photodna-nb "${COMP_WORDS[COMP_CWORD]}" ""
    echo ${COMPREPLY[@]}
done
"""
FISH = """
photodna-nb --print-completion fish | source
while read line
    echo (complete -C $line | string replace -r "\\s.*" "")
end
"""


@needs("sh")
@pytest.mark.parametrize(
    ("shell", "script"), [("bash", BASH), pytest.param("fish", FISH, marks=pytest.mark.long)]
)
def test_a_shell_completes(tmp_path, shell, script):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not there")
    program = tmp_path / "photodna-nb"
    program.write_text(
        f"#!/bin/sh\nexec '{sys.executable}' -X importtime -m photodna_nb \"$@\" 2>> imports\n"
    )
    program.chmod(0o755)
    (tmp_path / "picture.jpg").touch()
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [shell, "-c", script],
        cwd=tmp_path,
        env=os.environ | path,
        capture_output=True,
        text=True,
        input="".join(f"{line}\n" for line in COMPLETIONS),
    )
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines == list(COMPLETIONS.values()), result.stderr
    imported = set(
        re.findall(r"\| +([\w.]+)$", (tmp_path / "imports").read_text("utf-8"), re.MULTILINE)
    )
    assert "argcomplete" in imported
    assert not imported & {"numpy", "numba", "PIL", "faiss"}
