"""Options are stated once, as dataclasses: the configuration's section and a step's object come from them."""

from dataclasses import dataclass
from typing import Literal

import pytest
from pydantic import ValidationError

from pipeline_src.config.explain import explain
from pipeline_src.config.sections import section_of
from pipeline_src.errors import InputError
from pipeline_src.options import REQUIRED, Fraction, PositiveInt, from_json, option, to_json


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent."""

    kind: Literal["sgd"] = option(REQUIRED, "Its name.")
    momentum: Fraction = option(0.9, "Momentum.")


@dataclass(frozen=True)
class Adam:
    """Adam."""

    kind: Literal["adam"] = option(REQUIRED, "Its name.")
    betas: list[float] = option([0.9, 0.999], "Decay rates.", min_length=2, max_length=2)


@dataclass(frozen=True)
class Inner:
    """A nested section."""

    width: PositiveInt = option(8, "Width.")


@dataclass(frozen=True)
class Example:
    """An example.

    More words.
    """

    sizes: list[PositiveInt] = option(REQUIRED, "Sizes.", min_length=1)
    optimizer: Sgd | Adam = option(Sgd("sgd"), "Optimiser.")
    inner: Inner = option(Inner(), "Inner.")
    maybe: Inner | None = option(None, "May be null.")
    limit: int | None = option(None, "A limit.")

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < len(self.sizes):
            raise ValueError(f"limit {self.limit} is below the number of sizes")


def test_json_round_trip_keeps_nested_dataclasses() -> None:
    value = Example([1, 2], Adam("adam"), Inner(3), None, 5)
    assert from_json(Example, to_json(value)) == value


def test_what_is_left_out_gets_its_default() -> None:
    value = from_json(Example, {"sizes": [4]})
    assert value == Example([4])
    assert value.inner.width == 8


def test_defaults_that_are_lists_are_not_shared() -> None:
    one, two = Adam("adam"), Adam("adam")
    one.betas.append(1.0)
    assert two.betas == [0.9, 0.999]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"sizes": [1], "sise": 2}, "unknown key 'sise'"),
        ({}, "sizes is missing"),
        ({"sizes": [1], "inner": {"wide": 1}}, "unknown key 'wide'"),
        ({"sizes": [1], "optimizer": {"kind": "lion"}}, "Example.optimizer.kind: 'lion'; allowed: sgd, adam"),
        ({"sizes": [1], "optimizer": {}}, "Example.optimizer.kind is missing"),
        ({"sizes": [1], "maybe": {"wide": 1}}, "maybe: unknown key 'wide'"),
        ([], "is no mapping"),
    ],
)
def test_wrong_json_names_the_key(value: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_json(Example, value)


@dataclass(frozen=True)
class Size:
    """One of several."""

    size: tuple[int, int]
    name: str = "x"


@dataclass(frozen=True)
class Scale:
    """Another: told from a size by the key that only it needs."""

    factor: float
    name: str = "x"


@dataclass(frozen=True)
class Outer:
    """A part of a job's parameters."""

    one: Size
    many: list[Size]
    either: Size | Scale | None = None
    free: dict[str, int] | None = None


def test_nested_dataclasses_tuples_and_nulls() -> None:
    value = {
        "one": {"size": [3, 4]},
        "many": [{"size": [1, 2], "name": "y"}],
        "either": {"factor": 2.0},
        "free": {"a": 1},
    }
    expected = Outer(Size((3, 4)), [Size((1, 2), "y")], Scale(2.0), {"a": 1})
    assert from_json(Outer, value) == expected
    assert from_json(Outer, {**value, "later": 3}, part=True) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"one": {"size": [1, 2]}}, r"^p\.many is missing$"),
        ({"one": {}, "many": []}, r"^p\.one\.size is missing$"),
        (
            {"one": {"size": [1, 2], "sise": 1}, "many": []},
            r"^p\.one: unknown key 'sise'; it has name, size$",
        ),
        ({"one": {"size": [1, 2]}, "many": [3]}, r"^p\.many\[0\]: 3 is no mapping$"),
    ],
)
@pytest.mark.parametrize("part", [False, True])
def test_what_is_wrong_is_named_with_the_path_to_it(value: object, said: str, part: bool) -> None:
    with pytest.raises(InputError, match=said):
        from_json(Outer, value, "p", part)


def test_section_gives_back_the_dataclass() -> None:
    section = section_of(Example)
    given = section.model_validate({"sizes": [3], "optimizer": {"kind": "adam"}}).given()
    assert given == Example([3], Adam("adam"))


def test_section_with_a_kind_begins_with_it() -> None:
    section = section_of(Inner, "small")
    assert list(section.model_fields) == ["kind", "width"]
    assert section.model_validate({"kind": "small"}).given() == Inner()
    with pytest.raises(ValidationError):
        section.model_validate({"kind": "large"})


@pytest.mark.parametrize(
    ("value", "key", "said"),
    [
        ({"sizes": []}, ["sizes"], "at least 1"),
        ({"sizes": [0]}, ["sizes", 0], "above 0"),
        ({"sizes": ["3"]}, ["sizes", 0], "an integer"),
        ({"sizes": [1], "inner": {"width": 0}}, ["inner", "width"], "above 0"),
        ({"sizes": [1], "optimizer": {"kind": "adagrad"}}, ["optimizer", "kind"], "use sgd or adam"),
        ({"sizes": [1], "optimizer": {"kind": "sgd", "momentum": 2}}, ["optimizer", "momentum"], "0 to 1"),
        ({"sizes": [1], "other": 1}, ["other"], "unknown key"),
        ({"sizes": [1, 2], "limit": 1}, [], "limit 1 is below"),
    ],
)
def test_a_wrong_section_is_explained(value: object, key: list[str | int], said: str) -> None:
    section = section_of(Example)
    with pytest.raises(ValidationError) as caught:
        section.model_validate(value)
    ((path, text),) = explain(caught.value, section)
    assert path == key
    assert said in text


def test_descriptions_reach_the_schema() -> None:
    schema = section_of(Example).model_json_schema()
    assert schema["properties"]["sizes"]["description"] == "Sizes."
    assert schema["$defs"]["Sgd"]["properties"]["momentum"]["maximum"] == 1
