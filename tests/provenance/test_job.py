"""What a step asks of its job: parameters as dataclasses, and inputs."""

from dataclasses import dataclass

import pytest

from pipeline_src.errors import InputError
from pipeline_src.provenance.job import Job


@dataclass(frozen=True)
class Size:
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.size[0] > self.size[1]:
            raise ValueError("the smaller comes first")


def test_parameters_are_read_as_dataclasses_and_a_job_names_itself():
    params = {"size": [1, 2], "x": 1, "inner": {"size": [3, 4], "y": 1}}
    job = Job("extract", "sbd", "demo", params, {}, {}, {"digest": "c"}, "d")
    with pytest.raises(InputError, match=r"^job extract sbd: params: unknown key 'inner'"):
        job.params_as(Size)
    assert job.section_as(Size, "inner") == Size((3, 4))
    with pytest.raises(InputError, match=r"^job extract sbd: params\.outer is missing$"):
        job.section_as(Size, "outer")
    params["inner"]["size"] = [4, 3]
    with pytest.raises(InputError, match=r"^job extract sbd: params\.inner: the smaller comes first$"):
        job.section_as(Size, "inner")
    del params["inner"]["size"]
    with pytest.raises(InputError, match=r"^job extract sbd: params\.inner\.size is missing$"):
        job.section_as(Size, "inner")


def test_inputs_are_single_or_lists():
    inputs = {"one": "a", "many": ["b", "c"]}
    job = Job("extract", "sbd", "demo", {}, inputs, {}, {"digest": "c"}, "d")
    assert job.input("one") == "a"
    assert [job.input_list(name) for name in ("one", "many", "none")] == [["a"], ["b", "c"], []]
    for name, message in (("many", "is a list"), ("none", "has no input none")):
        with pytest.raises(InputError, match=message):
            job.input(name)
