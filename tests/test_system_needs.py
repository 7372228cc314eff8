"""Tests that need what Windows or macOS lack say so, and are skipped there: `conftest.needs`."""

import ast
from functools import cache

import pytest
from conftest import AVAILABLE, ROOT

# Only Linux has these; the others are on no Windows, so that one of any kind is enough for it.
OF_LINUX = {"/proc", "limits of memory", "mprotect", "names of any bytes"}
OF_OS = {
    "chown", "fchown", "fork", "forkpty", "geteuid", "getgid", "getpgid", "getuid", "kill",
    "killpg", "lchown", "mkfifo", "mknod", "nice", "pread", "pwrite", "setsid", "statvfs", "umask",
    "uname",
}  # fmt: skip
OF_SIGNAL = {
    "SIGALRM", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGPROF", "SIGSTOP", "SIGUSR1", "SIGXFSZ", "alarm",
    "pthread_kill", "setitimer",
}  # fmt: skip
IN_TEXTS = {
    "os.fork": "posix", "os.kill(": "posix", "signal.SIGX": "posix", "RLIMIT_F": "posix",
    "RLIMIT_NOFILE": "posix", "#!/bin/sh": "posix", "/dev/zero": "posix", "/dev/null": "posix",
    "/dev/full": "/dev/full", "/proc/": "/proc", "RLIMIT_AS": "limits of memory",
    "mprotect": "mprotect",
}  # fmt: skip


def uses(node):
    """Yield what code needs of the system, without branches that ask for it first."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test):
            asked = {"AVAILABLE", "hasattr", "exists", "name"}
            if asked & {getattr(each, "id", getattr(each, "attr", "")) for each in ast.walk(test)}:
                return
        case ast.Call(ast.Attribute(_, "chmod"), [ast.Constant(0o755)]):
            return  # of a program, which does nothing elsewhere
        case ast.Attribute(ast.Name("os"), name) if name in OF_OS:
            yield "posix"
        case ast.Attribute(ast.Name("signal"), name) if name in OF_SIGNAL:
            yield "posix"
        case ast.Attribute(_, "chmod" | "fchmod" | "send_signal"):
            yield "posix"
        case ast.keyword("preexec_fn" | "pass_fds" | "start_new_session"):
            yield "posix"
        case ast.Attribute(_, "RLIMIT_AS"):
            yield "limits of memory"
        case ast.Constant(str(text)) if ".exists()" not in text:  # a program that asks
            yield from (need for word, need in IN_TEXTS.items() if word in text)
    for child in ast.iter_child_nodes(node):
        yield from uses(child)


def definitions(tree):
    """Return the functions, classes and values of a module by their names."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {each.id: node for each in node.targets if isinstance(each, ast.Name)}
    return found


@cache
def modules():
    """Return the definitions of each module of the tests, and what it imports of the others."""
    paths = {path.stem: path for path in (ROOT / "tests").glob("*.py")}
    found = {}
    for name, path in paths.items():
        tree = ast.parse(path.read_text("utf-8"))
        imports = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in paths:
                imports |= {a.asname or a.name: (node.module, a.name) for a in node.names}
        found[name] = definitions(tree), imports
    return found


@cache
def own_uses(module, name):
    """Return what a definition needs by itself, and the names in it that may be others."""
    body = modules()[module][0][name]
    names = [
        node
        for node in ast.walk(body)
        if isinstance(node, ast.Name | ast.arg | ast.Attribute)
        and not {getattr(node, "id", ""), getattr(node, "attr", "")} & {"AVAILABLE", "needs"}
    ]
    return frozenset(uses(body)), names


def needed(module, name, seen):
    """Return what a function needs, with the helpers, fixtures and modules that it names."""
    own, imports = modules()[module]
    if (module, name) in seen or name not in own:
        return set()
    seen.add((module, name))
    direct, names = own_uses(module, name)
    found = set(direct)
    for node in names:
        match node:
            case ast.Attribute(ast.Name(other), attribute) if other in modules():
                found |= needed(other, attribute, seen)
            case ast.Name(id=used) | ast.arg(arg=used):
                where = (module, used) if used in own else imports.get(used, ("conftest", used))
                found |= needed(*where, seen)
    return found


def said(module, name):
    """Return what the marks of a test and of its module say."""
    own, _ = modules()[module]
    nodes = [*own[name].decorator_list, *([own["pytestmark"]] if "pytestmark" in own else [])]
    calls = (call for node in nodes for call in ast.walk(node) if isinstance(call, ast.Call))
    names = {
        each.value for call in calls if ast.unparse(call.func) == "needs" for each in call.args
    }
    assert names <= AVAILABLE.keys()
    return names | ({"posix"} if names else set()) | (OF_LINUX if names & OF_LINUX else set())


@pytest.mark.long
def test_tests_say_what_they_need():
    silent, total = {}, 0
    for module, (own, _) in modules().items():
        # The last is not collected on Windows, and the others simulate what systems lack.
        others = "test_systems", "test_system_needs", "test_cli_process"
        tests = own if module.startswith("test_") and module not in others else ()
        for name in (name for name in tests if name.startswith("test_")):
            needs = needed(module, name, set())
            total += bool(needs)
            if missing := needs - said(module, name):
                silent[f"{module}.py::{name}"] = missing
    assert silent == {}
    assert total >= 50


def test_a_need_is_noticed():
    for code, need in (
        ("os.fork()", "posix"),
        ("path.chmod(0o600)", "posix"),
        ("process.send_signal(2)", "posix"),
        ("open(f'/proc/{pid}/maps')", "/proc"),
        ("program = 'resource.RLIMIT_AS'", "limits of memory"),
        ("if a:\n    os.mkfifo('a')", "posix"),
    ):
        assert list(uses(ast.parse(code))) == [need]
    for code in ("path.chmod(0o755)", "if hasattr(os, 'fork'):\n    os.fork()"):
        assert list(uses(ast.parse(code))) == []
