"""`init` as a user runs it."""

import sys

import pytest

from pipeline_src.cli.main import main
from pipeline_src.errors import run_command


@pytest.fixture
def init(project, monkeypatch, capsys, tmp_path):
    """Run `init mine` at the project's root, writing to `tmp_path/mine.yaml`; what it prints or says."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def run(*arguments, status=0, name="mine"):
        out = ["--out", str(tmp_path / "mine.yaml")]
        monkeypatch.setattr(sys, "argv", ["pipeline_src", "init", name, *map(str, arguments), *out])
        with pytest.raises(SystemExit) as ended:
            run_command(main)
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == status, printed.out + printed.err
        return printed.out if status == 0 else printed.err

    return run
