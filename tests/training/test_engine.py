import csv
import dataclasses
import math
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from pipeline_src.errors import InputError
from pipeline_src.provenance.job import Job
from pipeline_src.training import engine as engine_module
from pipeline_src.training import optimizer_step as step_module
from pipeline_src.training import stopping
from pipeline_src.training.checkpoint import CheckpointFolder, load_checkpoint
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.engine import Diverged
from pipeline_src.training.precision import Precision
from pipeline_src.training.seeding import derive, seed_step
from pipeline_src.training.stopping import SaveInterval
from pipeline_src.training.training_job import Options, train_job
from tests.training.toy_training import (
    ADAMW,
    SGD,
    ToyModel,
    recipe,
    run_ranks,
    toy_batches,
    toy_parts,
    train,
    write_job,
)

PLAIN = {"norm": False}
ALONE = Ranks(0, 1, torch.device("cpu"))


def trained(folder, parts=None, save_steps=2, **changes):
    """Weights, rows of log.csv and rows of curve.csv of a finished job."""
    job = write_job(folder, **changes)
    train(job, parts, save_steps=save_steps)
    out = folder / "results"
    return load_file(out / "model.safetensors"), rows(out / "log.csv"), rows(out / "curve.csv")


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def losses(log):
    return [float(row["loss"]) for row in log]


def checkpoints(folder):
    return sorted(folder.glob("work/demo/checkpoints/**/step-*.pt"))


def checkpoint_states(folder):
    return [load_checkpoint(path) for path in checkpoints(folder)]


def assert_close(ours, theirs, **tolerance):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(
            ours[name], value, msg=lambda text, name=name: f"{name}: {text}", **tolerance
        )


def assert_equal(ours, theirs):
    assert_close(ours, theirs, rtol=0, atol=0)


# --- the update --------------------------------------------------------------------------------


def of_torch(optimizer, model):
    """The optimiser of a recipe, written by hand."""
    if optimizer["kind"] == "sgd":
        rest = {key: optimizer[key] for key in ("momentum", "weight_decay", "nesterov")}
        return torch.optim.SGD(model.parameters(), lr=optimizer["lr"], **rest)
    rest = {"betas": tuple(optimizer["betas"]), "weight_decay": optimizer["weight_decay"]}
    return torch.optim.AdamW(model.parameters(), lr=optimizer["lr"], **rest)


# Numbers that no recipe of a paper has, so that none of them can be a constant of the code.
UNUSUAL_SGD = {**SGD, "momentum": 0.4, "weight_decay": 0.03, "nesterov": True}
UNUSUAL_ADAMW = {**ADAMW, "betas": [0.6, 0.8], "weight_decay": 0.3}


@pytest.mark.parametrize(
    "optimizer",
    [SGD, ADAMW, UNUSUAL_SGD, UNUSUAL_ADAMW],
    ids=["sgd", "adamw", "unusual sgd", "unusual adamw"],
)
@pytest.mark.parametrize("seed", [3, 4])
def test_training_is_what_a_plain_loop_computes(tmp_path, optimizer, seed):
    changes = {"optimizer": optimizer, "epochs": 3, "clip_grad_norm": 0.2}
    ours, log, _ = trained(tmp_path, seed=seed, **changes)

    torch.manual_seed(derive(seed, "init"))
    model = ToyModel()
    torch_optimizer = of_torch(optimizer, model)
    expected, norms = [], []
    for step, (images, masks) in enumerate(toy_batches(seed, recipe(), 0, 6, ALONE, 0)):
        for group in torch_optimizer.param_groups:
            group["lr"] = optimizer["lr"] * (1 - (step // 2) / 3)
        torch.manual_seed(seed_step(seed, step, 0))
        loss = functional.cross_entropy(model(images), masks, ignore_index=255)
        torch_optimizer.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.2).item())
        torch_optimizer.step()
        expected.append(loss.item())
    assert max(norms) > 0.2  # otherwise clipping is not exercised
    assert_close(ours, model.state_dict())
    np.testing.assert_allclose(losses(log), expected, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["labelled_pixels", "all_pixels", "sum"])
@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_micro_batches_make_the_step_of_the_whole_batch(tmp_path, reduction, parts):
    changes = {"model": PLAIN, "loss": {"reduction": reduction}}
    if reduction == "sum":
        changes["optimizer"] = {**SGD, "lr": 1e-4}
    whole, whole_log, _ = trained(tmp_path / "whole", toy_parts(dropout=0.0), **changes)
    split, split_log, _ = trained(tmp_path / "split", toy_parts(dropout=0.0), accumulate=parts, **changes)
    assert_close(split, whole, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(losses(split_log), losses(whole_log), rtol=1e-5)


def test_the_last_short_batch_of_an_epoch_is_trained_on_when_it_is_kept(tmp_path):
    _, log, _ = trained(tmp_path, drop_last=False)
    assert [(row["step"], row["epoch"]) for row in log] == [
        ("1", "0"), ("2", "0"), ("3", "0"), ("4", "1"), ("5", "1"), ("6", "1"),
    ]  # fmt: skip


def test_a_length_in_iterations_ends_within_an_epoch(tmp_path):
    _, log, _ = trained(tmp_path, epochs=None, iterations=5, schedule={"kind": "constant"})
    assert [row["epoch"] for row in log] == ["0", "0", "1", "1", "2"]


def test_the_logged_learning_rate_is_the_schedules_with_warm_up(tmp_path):
    _, log, _ = trained(tmp_path, warmup={"iterations": 2, "ratio": 0.5})
    np.testing.assert_allclose([float(row["lr"]) for row in log], [0.025, 0.0375, 0.025, 0.025], rtol=1e-12)


def test_bfloat16_training_stays_near_single_precision_with_single_precision_weights(tmp_path):
    full, full_log, _ = trained(tmp_path / "full")
    half, half_log, _ = trained(tmp_path / "half", amp="bf16")
    assert all(value.dtype == full[name].dtype for name, value in half.items())
    assert losses(half_log) != losses(full_log)
    assert_close(half, full, rtol=0.05, atol=0.02)


def test_fp16_on_a_cpu_is_refused_by_its_key(tmp_path):
    with pytest.raises(InputError, match=r"recipe.amp: fp16 needs a CUDA device"):
        trained(tmp_path, amp="fp16")


class HalfOnTheCpu(Precision):
    """What fp16 does on CUDA, with a loss scale that first overflows and then grows every second step."""

    def __init__(self, amp, device):
        super().__init__("none", device)
        self.dtype = torch.float16
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**22, growth_interval=2)


class Crash(Exception):
    pass


def crash_at(step):
    def wrap(first, batches):
        for number, batch in enumerate(batches, first):
            if number == step:
                raise Crash
            yield batch

    return toy_parts(wrap)


def test_half_precision_training_is_what_a_plain_loop_computes(tmp_path, monkeypatch):
    """Gradients are clipped by their true size, after the loss scale is taken out of them."""
    monkeypatch.setattr(step_module, "Precision", HalfOnTheCpu)
    ours, log, _ = trained(tmp_path, epochs=8, clip_grad_norm=0.2)

    torch.manual_seed(derive(3, "init"))
    model = ToyModel()
    optimizer = of_torch(SGD, model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**22, growth_interval=2)
    expected, norms = [], []
    for step, (images, masks) in enumerate(toy_batches(3, recipe(), 0, 16, ALONE, 0)):
        for group in optimizer.param_groups:
            group["lr"] = SGD["lr"] * (1 - (step // 2) / 8)
        torch.manual_seed(seed_step(3, step, 0))
        with torch.autocast("cpu", dtype=torch.float16):
            logits = model(images)
        loss = functional.cross_entropy(logits.float(), masks, ignore_index=255)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.2).item())
        scaler.step(optimizer)
        scaler.update()
        expected.append(loss.item())
    finite = [norm for norm in norms if math.isfinite(norm)]
    assert 0 < len(finite) < len(norms)  # some steps overflow and are skipped
    assert max(finite) > 0.2 and scaler.get_scale() < 2.0**22
    assert_close(ours, model.state_dict(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(losses(log), expected, rtol=1e-4)


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation_is_what_a_plain_loop_computes(tmp_path, parts):
    """With BN and dropout, which see micro-batches: the whole batch in one piece is no reference."""
    ours, log, _ = trained(tmp_path, epochs=3, accumulate=parts, clip_grad_norm=0.2)

    torch.manual_seed(derive(3, "init"))
    model = ToyModel()
    optimizer = of_torch(SGD, model)
    expected = []
    for step, (images, masks) in enumerate(toy_batches(3, recipe(), 0, 6, ALONE, 0)):
        for group in optimizer.param_groups:
            group["lr"] = SGD["lr"] * (1 - (step // 2) / 3)
        torch.manual_seed(seed_step(3, step, 0))
        optimizer.zero_grad()
        labelled, total = (masks != 255).sum(), 0.0
        for image, mask in zip(images.chunk(parts), masks.chunk(parts), strict=True):
            logits = model(image)
            loss = functional.cross_entropy(logits, mask, ignore_index=255, reduction="sum") / labelled
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), 0.2)
        optimizer.step()
        expected.append(total)
    assert_close(ours, model.state_dict(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(losses(log), expected, rtol=1e-5)


def test_loss_scaling_skips_overflows_and_survives_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(step_module, "Precision", HalfOnTheCpu)
    changes = {"epochs": 8, "clip_grad_norm": 1.0}
    whole, log, _ = trained(tmp_path / "whole", save_steps=1, **changes)
    assert all(torch.isfinite(value).all() for value in whole.values())

    job = write_job(tmp_path / "broken", **changes)
    with pytest.raises(Crash):
        train(job, crash_at(9), save_steps=3)
    assert all(state["scaler"]["scale"] < 2.0**22 for state in checkpoint_states(tmp_path / "broken"))
    train(job)
    assert_equal(load_file(tmp_path / "broken/results/model.safetensors"), whole)
    assert rows(tmp_path / "broken/results/log.csv") == log


# --- batch normalisation -----------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_batch_norm_stands_still_from_its_epoch_on(tmp_path, optimizer):
    changes = {"schedule": {"kind": "constant"}, "optimizer": {**optimizer, "weight_decay": 0.1}}
    one, _, _ = trained(tmp_path / "one", epochs=1, **changes)
    frozen, _, _ = trained(tmp_path / "frozen", epochs=3, freeze_bn_at_epoch=1, **changes)
    free, _, _ = trained(tmp_path / "free", epochs=3, **changes)
    for name in one:
        assert torch.equal(frozen[name], one[name]) == name.startswith("bn."), name
        assert not torch.equal(free[name], one[name]), name


# --- validation and logs -----------------------------------------------------------------------


def test_validation_is_recorded_at_its_interval_and_at_the_end(tmp_path):
    _, _, curve = trained(tmp_path, epochs=3, validate_every={"iterations": 4})
    assert [(row["step"], row["epoch"], row["metric"]) for row in curve] == [
        ("4", "2", "miou"),
        ("4", "2", "pixel_accuracy"),
        ("6", "3", "miou"),
        ("6", "3", "pixel_accuracy"),
    ]


def test_validating_does_not_change_the_training(tmp_path):
    # the toy's scores leave the model in evaluation mode, and BN stays fixed after its epoch
    changes = {"epochs": 3, "freeze_bn_at_epoch": 2}
    without, log, curve = trained(tmp_path / "without", **changes)
    every, every_log, _ = trained(tmp_path / "every", validate_every={"iterations": 1}, **changes)
    assert_equal(every, without)
    assert every_log == log
    assert curve == []


def test_how_often_is_saved_changes_neither_weights_nor_logs(tmp_path):
    changes = {"epochs": 3, "validate_every": {"epochs": 1}}
    results = [trained(tmp_path / str(steps), save_steps=steps, **changes) for steps in (1, 2, 5, 100)]
    for other in results[1:]:
        assert_equal(other[0], results[0][0])
        assert other[1:] == results[0][1:]


def test_a_checkpoint_is_due_so_many_minutes_after_the_last_one(tmp_path, monkeypatch):
    minutes, saved = 0, []
    save = CheckpointFolder.save
    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: 60.0 * minutes))
    monkeypatch.setattr(
        CheckpointFolder, "save", lambda self, step, state: saved.append(step) or save(self, step, state)
    )

    def a_minute_each(first, batches):
        nonlocal minutes
        for batch in batches:
            minutes += 1
            yield batch

    job = Job.load(write_job(tmp_path, epochs=6))
    options = Options(0, "cpu", tmp_path / "work", SaveInterval(minutes=5))
    train_job(job, toy_parts(a_minute_each), options)
    assert saved == [5, 10]


def test_log_every_keeps_each_nth_row_and_the_last(tmp_path):
    _, every, _ = trained(tmp_path / "every", epochs=None, iterations=7, schedule={"kind": "constant"})
    _, third, _ = trained(
        tmp_path / "third", epochs=None, iterations=7, schedule={"kind": "constant"}, log_every=3
    )
    assert third == [every[2], every[5], every[6]]


@pytest.mark.parametrize("every", [3, 16])
def test_losses_that_are_fetched_rarely_are_all_in_the_log_of_a_continued_training(
    tmp_path, monkeypatch, every
):
    """As on a GPU, whose losses wait for some steps: a checkpoint's log must hold them all the same."""
    changes = {"epochs": 4, "validate_every": {"iterations": 5}}
    whole, log, curve = trained(tmp_path / "whole", **changes)

    monkeypatch.setattr(engine_module, "SETTLE_EVERY", {"cpu": every})
    with pytest.raises(Crash):
        train(write_job(tmp_path / "rarely", **changes), crash_at(7), save_steps=2)
    rarely, rare_log, rare_curve = trained(tmp_path / "rarely", save_steps=2, **changes)
    assert_equal(rarely, whole)
    assert [row["step"] for row in rare_log] == [str(step) for step in range(1, 9)]
    assert (rare_log, rare_curve) == (log, curve)


# --- divergence --------------------------------------------------------------------------------


def poison_images_at(step):
    def wrap(first, batches):
        for number, (images, masks) in enumerate(batches, first):
            yield (images * math.nan if number == step else images), masks

    return toy_parts(wrap)


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_last_good_checkpoint(tmp_path):
    job = write_job(tmp_path, epochs=4)
    with pytest.raises(Diverged, match=r"toy/seed-3: the loss is nan at step 6 ") as caught:
        train(job, poison_images_at(5), save_steps=2)
    first, second = checkpoints(tmp_path)
    assert str(second) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "results").exists()
    for path, step in ((first, 2), (second, 4)):
        state = load_checkpoint(path)
        assert state["step"] == step
        assert all(torch.isfinite(value).all() for value in state["model"].values())


def test_without_a_checkpoint_the_message_says_so(tmp_path):
    with pytest.raises(Diverged, match=r"at step 1 .* none was saved"):
        train(write_job(tmp_path), poison_images_at(0))


class PoisonedGradient(ToyModel):
    """The gradient of one weight is not finite at the third step; the loss of that step is."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.conv.weight.register_hook(self.poison)

    def poison(self, gradient):
        self.calls += 1
        return gradient * math.inf if self.calls == 3 else gradient


@pytest.mark.parametrize("save_steps", [1, 3])
def test_weights_that_are_not_finite_are_never_saved(tmp_path, save_steps):
    parts = toy_parts()
    poisoned = type(parts)(lambda model, weights: PoisonedGradient(), parts.open_data)
    with pytest.raises(Diverged, match=r"conv.weight is not finite after step 3|the loss is nan at step 4"):
        train(write_job(tmp_path, epochs=5), poisoned, save_steps=save_steps)
    for path in checkpoints(tmp_path):
        state = load_checkpoint(path)
        assert state["step"] <= 2
        assert all(torch.isfinite(value).all() for value in state["model"].values())


def test_weights_that_the_last_step_poisons_are_no_result(tmp_path):
    parts = toy_parts()
    poisoned = type(parts)(lambda model, weights: PoisonedGradient(), parts.open_data)
    job = write_job(tmp_path, epochs=None, iterations=3, schedule={"kind": "constant"})
    with pytest.raises(Diverged, match=r"conv.weight is not finite after step 3"):
        train(job, poisoned, save_steps=100)
    assert not (tmp_path / "results").exists()


# --- two ranks ---------------------------------------------------------------------------------


def train_rank(job):
    train(job, toy_parts(dropout=0.0), save_steps=2)


@pytest.mark.parametrize(
    "changes",
    [{}, {"freeze_bn_at_epoch": 1}, {"clip_grad_norm": 0.2}, {"accumulate": 2, "model": PLAIN}],
    ids=["batch norm", "frozen batch norm", "clipped", "accumulated"],
)
def test_two_ranks_train_as_one_process_with_the_whole_batch(tmp_path, changes):
    changes = {"epochs": 3, "validate_every": {"epochs": 1}, **changes}
    run_ranks(train_rank, 2, write_job(tmp_path / "two", **changes))
    two = load_file(tmp_path / "two/results/model.safetensors")
    two_log = rows(tmp_path / "two/results/log.csv")

    one, log, _ = trained(tmp_path / "one", toy_parts(dropout=0.0), **{**changes, "accumulate": 1})
    assert_close(two, one, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(losses(two_log), losses(log), rtol=1e-4)
    assert [row["step"] for row in two_log] == [row["step"] for row in log]


def train_apart(job):
    """A rank's running means at every validation."""
    parts, seen = toy_parts(dropout=0.0), []

    def open_data(*arguments):
        data = parts.open_data(*arguments)

        def validate(model):
            seen.append(model.bn.running_mean.tolist())
            return data.validate(model)

        return dataclasses.replace(data, validate=validate)

    train(job, dataclasses.replace(parts, open_data=open_data, synchronise_bn=False), save_steps=2)
    return seen


def test_two_ranks_with_batch_norms_of_their_own_train_as_two_micro_batches(tmp_path):
    changes = {"epochs": 3, "validate_every": {"epochs": 1}}
    first, second = run_ranks(train_apart, 2, write_job(tmp_path / "two", **changes))
    assert len(first) == 3 and first == second
    two, two_log = (
        load_file(tmp_path / "two/results/model.safetensors"),
        rows(tmp_path / "two/results/log.csv"),
    )
    parts = toy_parts(dropout=0.0)
    one, log, _ = trained(tmp_path / "one", parts, **{**changes, "accumulate": 2})
    whole, *_ = trained(tmp_path / "whole", parts, **changes)
    learned = [name for name in one if "running" not in name and "tracked" not in name]
    assert_close({n: two[n] for n in learned}, {n: one[n] for n in learned}, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(losses(two_log), losses(log), rtol=1e-4)
    assert not torch.allclose(two["conv.weight"], whole["conv.weight"], rtol=1e-3, atol=1e-4)
    # each rank has seen half of what the micro-batches of one process have
    assert two["bn.num_batches_tracked"] * 2 == one["bn.num_batches_tracked"]


def nan_on_one_rank(job):
    rank = int(os.environ["RANK"])
    try:
        train(job, poison_images_at(3) if rank == 1 else toy_parts())
    except Diverged as error:
        return str(error)
    return None


def test_a_nan_on_one_rank_stops_all_ranks_at_the_same_step(tmp_path):
    messages = run_ranks(nan_on_one_rank, 2, write_job(tmp_path, epochs=4))
    assert all("the loss is nan at step 4" in message for message in messages)
    (path,) = checkpoints(tmp_path)
    assert load_checkpoint(path)["step"] == 2
