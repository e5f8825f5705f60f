import copy

import pytest
import torch

from pipeline_src.errors import InputError
from pipeline_src.training.distributed import Ranks, process_group
from tests.training.rank_functions import collective_answers, gradients_by_ddp, gradients_by_sum, toy_model
from tests.training.toy_training import run_ranks


@pytest.mark.parametrize("split", [[3], [1], [5]])
def test_gradient_of_two_ranks_is_that_of_one_process_with_the_whole_batch(split):
    (expected_loss, expected) = gradients_by_sum([6])
    for loss, gradients in run_ranks(gradients_by_sum, 2, split):
        assert loss == pytest.approx(expected_loss, rel=1e-12)
        for name, gradient in expected.items():
            torch.testing.assert_close(
                torch.from_numpy(gradients[name]), torch.from_numpy(gradient), rtol=1e-9, atol=1e-12, msg=name
            )


def test_summed_gradients_equal_those_of_distributed_data_parallel():
    theirs = run_ranks(gradients_by_ddp, 2)[0]
    _, summed = run_ranks(gradients_by_sum, 2, [3])[0]
    for name, gradient in theirs.items():
        torch.testing.assert_close(
            torch.from_numpy(summed[name]), torch.from_numpy(gradient), rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("bucket", [1, 20, 1 << 24])
def test_ranks_agree_on_sums_flags_values_gradients_and_models(bucket):
    answers = run_ranks(collective_answers, 3, bucket)
    for rank, answer in enumerate(answers):
        assert answer[0] == rank
        assert answer[1] == pytest.approx(0.6, rel=1e-15)
        assert answer[2] == (True, False)
        assert answer[3] == {"path": 0}
        assert answer[4] == [[6.0], None, [600.0], [6000.0], [60000.0]]
        assert answer[5] == ([0.0], [0.0])


def test_alone_everything_stays_as_it_is():
    ranks = Ranks(0, 1, torch.device("cpu"))
    model = toy_model()
    before = copy.deepcopy(model.state_dict())
    ranks.broadcast_model(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert ranks.first
    assert ranks.sum(0.1) == 0.1
    assert ranks.any(True, False) == (True, False)
    assert ranks.share("x") == "x"


def test_asking_for_a_cuda_device_that_is_not_there_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"--device cuda: .* 0 are visible"), process_group("cuda"):
        pass


def test_auto_falls_back_to_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with process_group("auto") as ranks:
        assert ranks == Ranks(0, 1, torch.device("cpu"))
