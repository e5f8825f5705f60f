"""Parameters as dataclasses: nested ones, tuples, and what is missing or unknown."""

from dataclasses import dataclass

import pytest

from pipeline_src.errors import InputError
from pipeline_src.provenance.job import Job
from pipeline_src.provenance.typed import read_as


@dataclass(frozen=True)
class Inner:
    size: tuple[int, int]
    name: str = "x"


@dataclass(frozen=True)
class Outer:
    inner: Inner
    many: list[Inner]
    maybe: Inner | None = None
    free: dict[str, int] | None = None


def test_nested_dataclasses_tuples_and_nulls():
    value = {
        "inner": {"size": [3, 4]},
        "many": [{"size": [1, 2], "name": "y"}],
        "maybe": None,
        "free": {"a": 1},
        "later": None,
    }
    assert read_as(Outer, value, "p") == Outer(Inner((3, 4)), [Inner((1, 2), "y")], None, {"a": 1})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"inner": {"size": [1, 2]}}, r"^p\.many: is missing$"),
        ({"inner": {}, "many": []}, r"^p\.inner\.size: is missing$"),
        (
            {"inner": {"size": [1, 2], "sise": 1}, "many": []},
            r"^p\.inner\.sise: is unknown; known: size",
        ),
        ({"inner": {"size": [1, 2]}, "many": [3]}, r"^p\.many\.0: 3 is no section$"),
    ],
)
def test_what_is_missing_or_unknown_is_named(value, message):
    with pytest.raises(InputError, match=message):
        read_as(Outer, value, "p")


def test_a_job_names_itself():
    job = Job("extract", "sbd", "demo", {"size": [1, 2], "x": 1}, {}, {}, {"digest": "c"}, "d")
    with pytest.raises(InputError, match=r"^job extract sbd: params\.x: is unknown"):
        job.params_as(Inner)


def test_inputs_are_single_or_lists():
    inputs = {"one": "a", "many": ["b", "c"]}
    job = Job("extract", "sbd", "demo", {}, inputs, {}, {"digest": "c"}, "d")
    assert job.input("one") == "a"
    assert [job.input_list(name) for name in ("one", "many", "none")] == [["a"], ["b", "c"], []]
    for name, message in (("many", "is a list"), ("none", "has no input none")):
        with pytest.raises(InputError, match=message):
            job.input(name)
