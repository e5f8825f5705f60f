"""What the planner tells a job is what its step reads: dataclasses that write and read their own JSON."""

import json

import pytest

from pipeline_src.calibration.probe_params import ProbeRun
from pipeline_src.calibration.simulation_options import SimulateUpsampling
from pipeline_src.calibration.start_params import CalibrateRun
from pipeline_src.config.load import load_params
from pipeline_src.data.fetch_params import DescribeData, DrawScenes, ExtractArchive
from pipeline_src.errors import InputError
from pipeline_src.evaluation.evaluate_params import EvaluateRun
from pipeline_src.options import from_json, to_json
from pipeline_src.planning.planned_job import without_null
from pipeline_src.planning.summary_jobs import plan_everything
from pipeline_src.profiling.cost_params import MeasureCost
from pipeline_src.reporting.report_params import DrawFigure, MakeTable
from pipeline_src.training.train_params import TrainRun

KINDS = {
    "scenes": DrawScenes,
    "extract": ExtractArchive,
    "calibrate": CalibrateRun,
    "probe": ProbeRun,
    "train": TrainRun,
    "evaluate": EvaluateRun,
    "cost": MeasureCost,
    "simulate": SimulateUpsampling,
    "table": MakeTable,
    "figure": DrawFigure,
}


def kept(value, of):
    """What a value holds of the keys of another one."""
    return {key: kept(value[key], of[key]) for key in of} if isinstance(of, dict) else value


@pytest.fixture(scope="module", params=["smoke", "paper"])
def plan(request):
    return plan_everything(load_params(scale=request.param))


@pytest.mark.parametrize("step", KINDS)
def test_a_step_reads_all_that_it_is_told_and_would_say_the_same(plan, step):
    jobs = plan.of(step)
    assert jobs or step in ("scenes", "extract")
    for job in jobs:
        told = json.loads(json.dumps(job.params))
        again = to_json(from_json(KINDS[step], told))
        if step == "cost":  # told without what changes no cost; the defaults stand in for it
            again["recipe"] = kept(again["recipe"], told["recipe"])
        assert without_null(again) == without_null(told), job.key
        with pytest.raises(InputError, match="unknown key 'colour'"):
            from_json(KINDS[step], {**told, "colour": 1})


def test_a_manifest_leaves_to_its_task_what_its_reader_says_of_labels(plan):
    for job in plan.of("manifest"):
        told = json.loads(json.dumps(job.params))
        read = to_json(from_json(DescribeData, told, part=True))
        assert without_null(read).items() <= told.items()
        assert set(told) - set(read) <= {"class_ids", "ignored_ids", "ignore_index", "label_ids"}
