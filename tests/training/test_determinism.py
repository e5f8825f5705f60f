import os
import re
from pathlib import Path

import pytest
import torch

from pipeline_src.training.determinism import configure, describe_device, peak_memory

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def settings_as_before(monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_jobs_thread_count_is_set_and_recorded(threads):
    facts = configure(threads=threads, deterministic=True, device=CPU)
    assert torch.get_num_threads() == threads == facts["threads"]


def test_determinism_is_strict_on_a_cpu_and_warns_on_cuda():
    assert configure(threads=1, deterministic=True, device=CPU)["warn_only"] is False
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert configure(threads=1, deterministic=True, device=CUDA)["warn_only"] is True
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.backends.cudnn.benchmark


def test_without_determinism_the_fastest_algorithms_are_searched_on_cuda():
    facts = configure(threads=1, deterministic=False, device=CUDA)
    assert facts["cudnn_benchmark"] is True
    assert facts["deterministic_algorithms"] is False
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's own account")
def test_peak_memory_is_the_high_water_mark_that_the_system_keeps():
    status = Path("/proc/self/status").read_text()
    kilobytes = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
    assert peak_memory(CPU) == pytest.approx(kilobytes * 1024, rel=0.05)
    assert describe_device(CPU).startswith("cpu")
