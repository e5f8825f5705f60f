"""Freshness by content: what makes a job stale, by which name, and what does not."""

import json
import os
from pathlib import Path

import pytest

from pipeline_src.files import write_json, write_text
from pipeline_src.planning.freshness import assess, changed_keys
from pipeline_src.planning.planned_job import Plan, PlannedJob

CODE = {
    "digest": "c0",
    "modules": {"pipeline_src/a.py": {"digest": "m0", "definitions": {"f": "d0", "g": "e0"}}},
}


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def planned(step: str, name: str, params: dict, inputs: dict | None = None, code: dict = CODE) -> PlannedJob:
    outputs = {"sidecar": f"out/{step}/{name}.json", "value": f"out/{step}/{name}.txt"}
    job = PlannedJob(step, name, "demo", params, outputs, inputs or {})
    job.__dict__["code"] = code
    return job


def chain(code: dict = CODE, **params: int) -> Plan:
    """`make` writes a file that `use` reads."""
    plan = Plan("demo")
    make = plan.add(planned("make", "x", {"a": 1} | params))
    plan.add(planned("use", "y", {"b": 2}, {"made": make.outputs["value"]}, code))
    return plan


def run(plan: Plan, *keys: tuple[str, str], content: str = "same") -> None:
    """Do jobs of the plan as a step would: outputs, then the sidecar."""
    for key in keys or plan.jobs:
        job = plan.jobs[key]
        write_text(job.outputs["value"], content)
        plan.as_job(job).write_sidecar(content)


def reasons(plan: Plan) -> dict[str, str | None]:
    return {step: status.why for (step, _), status in assess(plan).items()}


def test_nothing_done_yet():
    assert reasons(chain()) == {"make": "not done yet", "use": "not done yet"}


def test_all_fresh_after_a_run_whatever_the_file_times():
    plan = chain()
    run(plan)
    for path in Path("out").rglob("*.*"):
        os.utime(path, (0, 0))
    os.utime(plan.jobs["make", "x"].outputs["value"])
    assert reasons(plan) == {"make": None, "use": None}


def test_a_changed_parameter_is_named_and_its_users_wait():
    run(chain())
    assert reasons(chain(a=5)) == {
        "make": "parameters changed: a (1 -> 5)",
        "use": "input made is rebuilt (make x)",
    }


def test_a_parameter_that_is_null_is_one_that_is_not_there():
    run(chain())
    plan = chain()
    plan.jobs["make", "x"].params["later"] = None
    assert reasons(plan) == {"make": None, "use": None}
    assert (
        planned("s", "n", {"a": {"b": None, "c": [1]}}).digest == planned("s", "n", {"a": {"c": [1]}}).digest
    )


def digest(**params: object) -> str:
    return planned("s", "n", params).digest


def test_nulls_within_lists_keep_their_places_and_those_of_mappings_within_lists_say_nothing():
    """`[None, 1]` and `[1]` are different lists; `[{"a": None}]` is `[{}]`, a list of one."""
    assert len({digest(a=value) for value in ([1], [None, 1], [1, None], [None], [])}) == 5
    assert digest(a=[{"b": None, "c": 1}]) == digest(a=[{"c": 1}])
    assert digest(a=[[{"b": None}]]) == digest(a=[[{}]]) != digest(a=[[]])
    assert digest(a={"b": None}) == digest(a={}) != digest()


def test_values_that_python_takes_for_equal_or_false_are_still_told_apart():
    assert len({digest(a=value) for value in (0, False, "", "0", [], {}, 0.0)} | {digest()}) == 8
    assert digest(a=1, b=2) == digest(b=2, a=1)


def test_changed_code_is_named_and_others_stay_fresh():
    run(chain())
    definitions = {"f": "d0", "g": "e1"}
    code = {"digest": "c1", "modules": {"pipeline_src/a.py": {"digest": "m1", "definitions": definitions}}}
    assert reasons(chain(code)) == {"make": None, "use": "code changed: pipeline_src/a.py: g"}


def test_input_with_other_content_reruns_its_user():
    plan = chain()
    run(plan)
    run(plan, ("make", "x"), content="other")
    assert reasons(plan) == {"make": None, "use": "input made changed: out/make/x.txt"}


def test_input_rebuilt_with_the_same_content_reruns_nothing():
    plan = chain()
    run(plan)
    run(plan, ("make", "x"))
    assert reasons(plan) == {"make": None, "use": None}


def test_a_missing_output_is_named():
    plan = chain()
    run(plan)
    Path("out/use/y.txt").unlink()
    assert reasons(plan)["use"] == "missing: out/use/y.txt"


def forget(job: PlannedJob) -> None:
    """Remove all that a job left."""
    for path in job.outputs.values():
        Path(path).unlink()


def test_what_was_removed_is_made_again_only_when_it_is_read():
    plan = chain()
    run(plan)
    forget(plan.jobs["make", "x"])
    assert reasons(plan) == {"make": "not here, and nothing needs it", "use": None}
    assert not any(status.to_run for status in assess(plan).values())
    Path("out/use/y.txt").unlink()
    assert reasons(plan) == {"make": "not done yet", "use": "missing: out/use/y.txt"}


def test_what_was_removed_and_would_be_made_in_another_way_reruns_its_users():
    run(chain())
    forget(chain().jobs["make", "x"])
    assert reasons(chain(a=5)) == {"make": "not done yet", "use": "input made is rebuilt (make x)"}


def test_an_origin_reaches_through_what_is_not_here():
    def long_chain(a: int) -> Plan:
        plan = Plan("demo")
        first = plan.add(planned("first", "x", {"a": a}))
        second = plan.add(planned("second", "y", {}, {"made": first.outputs["value"]}))
        plan.add(planned("third", "z", {}, {"made": second.outputs["value"]}))
        return plan

    plan = long_chain(1)
    run(plan)
    for key in (("first", "x"), ("second", "y")):
        forget(plan.jobs[key])
    assert not any(status.to_run for status in assess(long_chain(1)).values())
    assert all(status.to_run for status in assess(long_chain(2)).values())


def fetched(sha256: str | None) -> Plan:
    plan = Plan("demo")
    outputs = {"sidecar": "out/fetch/x.json", "value": "out/fetch/x.txt"}
    params = {"name": "x", "urls": ["a"], "sha256": sha256}
    fetch = plan.add(PlannedJob("fetch", "x", "demo", params, outputs, not_identifying=("urls", "sha256")))
    fetch.__dict__["code"] = CODE
    plan.add(planned("use", "y", {}, {"file": fetch.sidecar}))
    return plan


def test_learning_the_checksum_of_a_fetched_file_reruns_nothing():
    plan = fetched(None)
    run(plan, content="abc")
    sidecar = json.loads(Path("out/fetch/x.json").read_text())
    write_json("out/fetch/x.json", {**sidecar, "sha256": "abc"})
    assert reasons(fetched("abc")) == {"fetch": None, "use": None}
    assert reasons(fetched("abd"))["fetch"] == "the sha256 that is expected changed"
    forget(plan.jobs["fetch", "x"])
    assert not any(status.to_run for status in assess(fetched("abc")).values())
    assert all(status.to_run for status in assess(fetched("abd")).values())


def test_added_and_dropped_inputs_are_named():
    run(chain())
    plan = Plan("demo")
    plan.add(planned("make", "x", {"a": 1}))
    plan.add(planned("use", "y", {"b": 2}, {"other": "out/make/x.txt"}))
    assert reasons(plan)["use"] == "input made dropped; input other added"


def test_resume_step_is_that_of_the_same_identity():
    plan = Plan("demo")
    job = plan.add(planned("train", "r/seed-0", {"a": 1}))
    folder = Path("work/demo/checkpoints/r/seed-0", job.digest[:12])
    folder.mkdir(parents=True)
    for step in (3, 40):
        (folder / f"step-{step:08d}-0123456789abcdef.pt").touch()
    assert assess(plan)[job.key].resume_step == 40
    other = Plan("demo")
    changed = other.add(planned("train", "r/seed-0", {"a": 2}))
    assert assess(other)[changed.key].resume_step is None


def test_two_jobs_may_not_make_the_same_file():
    plan = Plan("demo")
    plan.add(planned("make", "x", {"a": 1}))
    assert plan.add(planned("make", "x", {"a": 1})) is plan.jobs["make", "x"]
    with pytest.raises(AssertionError, match="two different jobs"):
        plan.add(planned("make", "x", {"a": 2}))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1}}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b (1 -> 2)"]),
        ({"a": 1}, {"b": 1}, ["a removed", "b added"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a ([1] -> [1, 2])"]),
        ({"a": "x" * 100}, {"a": "y"}, ["a"]),
    ],
)
def test_changed_keys_name_paths_and_short_values(before, after, expected):
    assert changed_keys(before, after) == expected


@pytest.mark.parametrize("text", ["bent", "somewhat longer than it was", ""])
def test_a_result_that_was_changed_is_made_again(text):
    plan = chain()
    run(plan)
    path = Path(plan.jobs["make", "x"].outputs["value"])
    path.write_text(text)
    assert reasons(plan) == {
        "make": f"changed since it was made: {path}",
        "use": "input made is rebuilt (make x)",
    }
    last = Path(plan.jobs["use", "y"].outputs["value"])
    path.write_text("same")
    last.write_text(text)
    assert reasons(plan) == {"make": None, "use": f"changed since it was made: {last}"}


def test_of_a_large_result_the_size_is_compared(monkeypatch):
    monkeypatch.setattr("pipeline_src.planning.freshness.READ_WHOLE", 3)
    plan = chain()
    run(plan)
    path = Path(plan.jobs["make", "x"].outputs["value"])
    path.write_text("emas")
    assert reasons(plan)["make"] is None
    path.write_text("sam")
    assert reasons(plan)["make"] == f"changed since it was made: {path}"


def test_of_a_folder_the_size_of_all_its_files_is_compared():
    plan = chain()
    last = Path(plan.jobs["use", "y"].outputs["value"])
    (last / "below").mkdir(parents=True)
    for name in ("a", "below/b"):
        (last / name).write_text(name)
    run(plan, ("make", "x"))
    plan.as_job(plan.jobs["use", "y"]).write_sidecar("pictures")
    assert reasons(plan) == {"make": None, "use": None}
    (last / "below/b").unlink()
    assert reasons(plan) == {"make": None, "use": f"changed since it was made: {last}"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"job": 3}', "\x00"])
def test_a_damaged_record_has_its_job_done_again(text):
    plan = chain()
    run(plan)
    Path(plan.jobs["use", "y"].sidecar).write_text(text)
    assert reasons(plan)["make"] is None
    assert reasons(plan)["use"].startswith("its record cannot be used: ")


def test_an_unreadable_input_does_not_end_the_planning():
    plan = Plan("demo")
    write_json("mine.json", {"content": "c"})
    plan.add(planned("use", "y", {"b": 2}, {"made": "mine.json"}))
    run(plan)
    Path("mine.json").write_bytes(b"\xff\xfe")
    assert reasons(plan) == {"use": "input made changed: mine.json"}


def test_a_result_that_cannot_be_read_is_made_again(monkeypatch):
    plan = chain()
    run(plan)
    last = plan.jobs["use", "y"].outputs["value"]

    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("pipeline_src.planning.freshness.digest_file", refuse)
    os.utime(last, (1, 1))  # not looked at before
    assert f"changed since it was made: {last}" in reasons(plan)["use"]
