"""How much work is left of a step, counted by hand."""

import pytest

from pipeline_src.files import write_json
from pipeline_src.planning.freshness import NOT_DONE, NOT_NEEDED, Status
from pipeline_src.planning.planned_job import Plan, PlannedJob
from pipeline_src.planning.work_left import WorkLeft, median_seconds, work_left

DONE, TO_RUN, NOT_HERE = Status(), Status((NOT_DONE,)), Status((NOT_NEEDED,), needed=False)


@pytest.fixture
def plan(tmp_path, monkeypatch) -> Plan:
    """Six jobs of one step, of which three took 1, 4 and 10 seconds."""
    monkeypatch.chdir(tmp_path)
    plan = Plan("demo")
    for number in range(6):
        plan.add(PlannedJob("make", f"x{number}", "demo", {}, {"sidecar": f"{number}.json"}, {}))
    for number, seconds in enumerate((1, 4, 10)):
        write_json(f"{number}.json", {"timing": {"seconds": seconds}})
    return plan


def test_jobs_to_run_take_as_long_as_the_median_of_done_ones(plan: Plan) -> None:
    statuses = dict(zip(plan.jobs, [DONE, DONE, DONE, TO_RUN, TO_RUN, NOT_HERE], strict=True))
    medians = median_seconds(plan, statuses)
    assert medians == {"make": 4}
    left = work_left(plan.jobs.values(), statuses, medians["make"])
    assert left == WorkLeft(cached=3, to_run=2, not_needed=1, median=4)
    assert left.seconds == 8


def test_nothing_is_said_of_a_step_that_was_never_done_or_is_all_done(plan: Plan) -> None:
    never = dict.fromkeys(plan.jobs, TO_RUN)
    assert median_seconds(plan, never) == {}
    assert work_left(plan.jobs.values(), never, None).seconds is None
    assert work_left(plan.jobs.values(), dict.fromkeys(plan.jobs, DONE), 4.0).seconds is None
