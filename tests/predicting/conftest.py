import pytest

from pipeline_src.tasks.table import TASKS
from tests.predicting.finished_run import FinishedRun


@pytest.fixture(params=sorted(TASKS))
def run(request, tmp_path, monkeypatch) -> FinishedRun:
    """A run of each task that is trained, in the working directory."""
    monkeypatch.chdir(tmp_path)
    found = FinishedRun(request.param, tmp_path)
    found.train()
    return found


@pytest.fixture
def segmentor(tmp_path, monkeypatch) -> FinishedRun:
    """A run of a segmentation network that is trained."""
    monkeypatch.chdir(tmp_path)
    found = FinishedRun("segmentation", tmp_path)
    found.train()
    return found
