"""Each check of an argument: what it takes, what it refuses, and what its message says."""

import os
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import photodna_nb as pdna
from photodna_nb import checks

ONE_FORM = re.compile(r"^size: got [^;]+, needs [^;]+(; .+)?$")


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_integer_takes_integers_of_python_and_numpy(value):
    checked = checks.integer("size", value, 3, 3)
    assert checked == 3
    assert type(checked) is int


@pytest.mark.parametrize("value", [True, np.True_, 3.0, np.float64(3), "3", None, np.array([3])])
def test_integer_refuses_other_types(value):
    with pytest.raises(pdna.ArgumentTypeError, match="needs an integer") as caught:
        checks.integer("size", value)
    assert ONE_FORM.match(str(caught.value))


@pytest.mark.parametrize(
    ("bounds", "value", "message"),
    [
        ((1, None), 0, "size: got 0, needs an integer of at least 1"),
        ((None, 5), 6, "size: got 6, needs an integer of at most 5"),
        ((1, 5), 0, "size: got 0, needs an integer from 1 to 5"),
        ((1, 5), 6, "size: got 6, needs an integer from 1 to 5"),
        ((1, 5), 10**60, "size: got an integer of more than 18 digits, needs an integer from"),
    ],
)
def test_integer_names_its_bounds(bounds, value, message):
    with pytest.raises(pdna.ArgumentError, match=f"^{message}"):
        checks.integer("size", value, *bounds)
    assert [checks.integer("size", k, 1, 5) for k in (1, 5)] == [1, 5]


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), Fraction(1, 2)])
def test_real_takes_numbers(value):
    checked = checks.real("size", value, 0.5, 0.5)
    assert checked == 0.5
    assert type(checked) is float
    assert checks.real("size", 1) == 1.0
    assert checks.real("size", 1e300) == 1e300


@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1j, np.array([1.0])])
def test_real_refuses_other_types(value):
    with pytest.raises(pdna.ArgumentTypeError, match=r"size: got .*, needs a number"):
        checks.real("size", value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_real_refuses_what_is_not_finite(value):
    with pytest.raises(pdna.ArgumentError, match=r"size: got .*, needs a number"):
        checks.real("size", value)


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "needed"),
    [
        ({"least": 0}, 0, -1e-9, "a number of at least 0"),
        ({"most": 1}, 1, 1.1, "a number of at most 1"),
        ({"least": 0, "most": 1}, 1, 1.1, "a number from 0 to 1"),
        ({"above": 0}, 1e-9, 0, "a number above 0"),
        ({"below": 1}, 0.9, 1, "a number below 1"),
        ({"above": 0, "below": 1}, 0.9, 1, "a number above 0 and below 1"),
        ({"above": 0, "most": 1}, 1, 0, "a number above 0 and of at most 1"),
    ],
)
def test_real_names_its_bounds(bounds, good, bad, needed):
    assert checks.real("size", good, **bounds) == good
    with pytest.raises(pdna.ArgumentError) as caught:
        checks.real("size", bad, **bounds, remedy="use another")
    assert str(caught.value) == f"size: got {bad}, needs {needed}; use another"


def test_confidence_lies_between_0_and_1():
    assert checks.confidence("confidence", 0.95) == 0.95
    for value in (0, 1, -1, 95):
        with pytest.raises(pdna.ArgumentError, match="needs a number above 0 and below 1"):
            checks.confidence("confidence", value)


def test_other_checks_return_what_they_take_and_refuse_the_rest():
    assert checks.boolean("flag", np.True_) is True
    assert checks.text("word", "a") == "a"
    assert [checks.path("path", value) for value in ("a", b"a", Path("a"))] == ["a", "a", "a"]
    assert checks.choice("errors", "raise", ("raise", "record")) == "raise"
    assert checks.iterable("paths", ["a"], "several paths") == ["a"]
    refused = (
        (checks.boolean, (1,), "True or False"),
        (checks.text, (b"a",), "text"),
        (checks.path, (1,), "a path"),
        (checks.choice, (1, ("raise", "record")), "one of raise, record"),
        (checks.iterable, ("a", "several paths"), "several paths"),
        (checks.iterable, (1, "several paths"), "several paths"),
    )
    for check, arguments, needed in refused:
        with pytest.raises(pdna.ArgumentTypeError, match=f"^size: got .*, needs {needed}$"):
            check("size", *arguments)


def test_choice_names_the_nearest():
    with pytest.raises(pdna.ArgumentError) as caught:
        checks.choice("errors", "rais", ("raise", "record"))
    assert str(caught.value) == (
        "errors: got 'rais', needs one of raise, record; did you mean raise?"
    )
    with pytest.raises(pdna.ArgumentError, match=r"needs one of raise, record$"):
        checks.choice("errors", "zzz", ("raise", "record"))


def test_array_compares_dtype_and_shape():
    value = np.zeros((2, 3), np.uint8)
    assert checks.array("a", value, np.uint8, ("n", 3)) is value
    with pytest.raises(pdna.ArgumentTypeError, match="a: got an array of uint8, needs an array of"):
        checks.array("a", value, np.float64, ("n", 3))
    for shape in (("n", 4), ("n",), (2, 3, "n")):
        with pytest.raises(pdna.ArgumentError, match=r"a: got an array of shape \(2, 3\), needs"):
            checks.array("a", value, np.uint8, shape)


def test_read_only_leaves_the_array_itself_writable():
    value = np.zeros((4, 6), np.uint8)
    view = checks.read_only(value[:, ::2])
    assert view.flags.c_contiguous
    assert not view.flags.writeable
    assert value.flags.writeable
    assert np.shares_memory(checks.read_only(value), value)


def test_texts_that_survive_as_bytes():
    """Those that `os.fsdecode` returns, whatever the bytes of a name are."""
    for text in ("", "a", "a\0", "猫", "\udcff", "\udcff\udcfe", "\uffff", "😀", "\udcc3a"):
        assert checks.survives_as_bytes(text)
    for text in (
        "\ud800",
        "a\udfff",
        "\ud83d\ude00",
        "\udcc3\udca9",
        "\ue000\udcf0\udc9f\udc98\udc80",
    ):
        assert not checks.survives_as_bytes(text)
    for byte in range(256):
        assert checks.survives_as_bytes(os.fsdecode(bytes([byte, 0xA9])))


@pytest.mark.parametrize("meta", ["m.json", "m.sqlite"])
def test_a_label_that_would_become_another_is_refused(tmp_path, meta):
    with pdna.HashIndex.create(tmp_path / "i", tmp_path / meta) as index:
        for label in ("a\ud800", "a\udcc3\udca9"):
            table = pdna.HashTable([label], np.zeros((1, 144), np.uint8), np.zeros(1))
            with pytest.raises(pdna.ArgumentError, match="half of a surrogate pair; correct"):
                index.add(table)
