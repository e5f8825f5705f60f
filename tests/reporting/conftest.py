"""Fixtures of the reporting tests."""

import pytest

from tests.reporting.made_up_study import FakeStudy


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def make_study(workdir):
    """Write a made-up study below the working directory."""
    return lambda **options: FakeStudy(**options).write()
