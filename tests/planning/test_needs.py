"""What the jobs of a step ask of this machine and of a cluster."""

import inspect
from pathlib import Path

import pytest
from snakemake.cli import parse_args

from pipeline_src.errors import InputError
from pipeline_src.planning.needs import LEAST_MEMORY, Needs, check_shares
from pipeline_src.planning.planned_job import PlannedJob
from pipeline_src.planning.process import Process, granted_gpus
from pipeline_src.planning.steps import STEPS
from pipeline_src.training import training_job

CLUSTER = {"on_cluster": lambda: True}


def needs(
    step: str, visible: int = 0, limit: int | None = None, folder: Path = Path("none"), **process
) -> Needs:
    return Needs(
        step=STEPS[step],
        process=Process(**process),
        visible=visible,
        gpu_limit=lambda: limit,
        name_of=lambda wildcards: wildcards,
        params_of=lambda name: {"threads": 2},
        benchmark_of=lambda name: folder / f"{name}.tsv",
    )


def asked(step: str, name: str = "a", attempt: int = 1, **more) -> dict[str, int | str]:
    """What Snakemake would ask a machine for."""
    own = needs(step, **more)
    found = {"threads": own.threads(name)}
    for resource, value in own.resources().items():
        if callable(value):
            value = value(name, attempt=attempt) if resource == "mem_mb" else value(name)
        if value is not None:
            found[resource] = value
    return found


def test_here_a_training_asks_for_its_threads_and_a_gpu_if_there_is_one():
    assert asked("train") == {"threads": 2, "gpu": 0, "mem_mb": STEPS["train"].memory, "runtime": 1440}
    assert asked("train", visible=4)["gpu"] == 1


def test_on_a_cluster_its_loaders_have_cpus_too_and_all_is_one_task():
    assert asked("train", **CLUSTER) == {
        "threads": 2,
        "gpu": 1,
        "cpus_per_task": 2 + 4,
        "tasks_per_gpu": 0,
        "mem_mb": STEPS["train"].memory,
        "runtime": 1440,
    }


def test_several_gpus_have_their_processes_cpus_and_memory_on_one_node():
    found = asked("train", granted={"train": 4}, **CLUSTER)
    assert (found["gpu"], found["cpus_per_task"], found["nodes"]) == (4, 4 * 6, 1)
    assert found["mem_mb"] == 4 * STEPS["train"].memory
    assert asked("evaluate", granted={"train": 4}, **CLUSTER)["gpu"] == 1


def test_one_key_says_that_a_cluster_has_no_gpus():
    for step in (step for step in STEPS if STEPS[step].gpu):
        found = asked(step, limit=0, **CLUSTER)
        assert found["gpu"] == 0 and "cpus_per_task" not in found


def test_what_measures_time_runs_alone():
    assert asked("cost", cores=7)["threads"] == 7 and "slurm_extra" not in asked("cost", cores=7)
    found = asked("cost", cores=7, **CLUSTER)
    assert (found["threads"], found["slurm_extra"]) == (2, "--exclusive")


def test_a_manifest_takes_several_cpus_where_it_does_not_wait_for_them():
    assert asked("manifest")["threads"] == 1
    assert asked("manifest", **CLUSTER)["threads"] == 4


def test_memory_grows_with_every_retry_where_the_step_says_so():
    assert asked("train", attempt=3)["mem_mb"] == 3 * STEPS["train"].memory
    assert asked("fetch", attempt=3)["mem_mb"] == STEPS["fetch"].memory


@pytest.fixture
def measured(tmp_path):
    """A folder in which the first seed of a run took 4000 MB, and another run next to nothing."""
    (tmp_path / "seed-0.tsv").write_text("s\tmax_rss\n9.1\t4000.0\n")
    (tmp_path / "short.tsv").write_text("s\tmax_rss\n0.3\t8.76\n")
    (tmp_path / "unknown.tsv").write_text("s\tmax_rss\n0.0\tNA\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "megabytes"),
    [
        ("seed-0", 6000),
        ("seed-1", 6000),
        ("short", LEAST_MEMORY),
        ("unknown", STEPS["train"].memory),
        ("new", STEPS["train"].memory),
    ],
)
def test_what_ran_before_asks_for_what_it_took_and_half_as_much_again(measured, name, megabytes):
    assert asked("train", name, folder=measured)["mem_mb"] == megabytes
    assert asked("train", name, folder=measured, attempt=2)["mem_mb"] == 2 * megabytes


@pytest.mark.parametrize("gpus", [2, 4])
def test_what_one_process_took_says_nothing_of_several(measured, gpus):
    several = {"visible": 4, "granted": {"train": gpus}, "folder": measured}
    assert asked("train", "seed-0", **several)["mem_mb"] == gpus * STEPS["train"].memory
    alone = {**several, "granted": {"train": 1}}
    assert asked("train", "seed-0", **alone)["mem_mb"] == 6000


def test_the_loaders_of_the_table_are_those_that_a_training_starts():
    assert f"{STEPS['train'].loaders} if ranks.device.type" in inspect.getsource(training_job)


def job(step: str, batch: int, accumulate: int = 1) -> PlannedJob:
    recipe = {"batch": batch, "accumulate": accumulate}
    return PlannedJob(step, "a/seed-0", "demo", {"recipe": recipe}, {"sidecar": f"{step}.json"})


def test_a_batch_that_gpus_cannot_share_is_refused_in_one_line():
    process = Process(granted={"train": 4, "calibrate": 3})
    check_shares([job("train", 8), job("train", 16, 4), job("calibrate", 12, 4)], process)
    with pytest.raises(InputError) as refused:
        check_shares([job("train", 6)], process)
    assert str(refused.value) == (
        "--set-resources train:gpu=4: run a/seed-0 has a batch of 6, which 4 GPUs cannot share; "
        "use 1 or 2 or 3, or another batch"
    )
    with pytest.raises(InputError, match="a batch of 8 in 4 micro-batches, which 3 GPUs"):
        check_shares([job("calibrate", 8, 4)], process)


def test_gpus_are_a_number():
    assert granted_gpus({"train": {"gpu": 2, "mem_mb": 9}, "cost": {"mem_mb": 9}}) == {"train": 2}
    _, said = parse_args(["--set-resources", "train:gpu=4", "train:mem_mb=9", "cost:gpu=1 + 1"])
    assert granted_gpus(said.set_resources) == {"train": 4, "cost": -1}
    with pytest.raises(InputError, match="--set-resources cost:gpu=: must be a number of GPUs"):
        check_shares([], Process(granted=granted_gpus(said.set_resources)))
