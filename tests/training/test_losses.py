import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline_src.training.loss_options import Loss
from pipeline_src.training.losses import SegmentationLoss

IGNORE = 255


def random_case(seed, n=3, classes=5, size=(7, 5), ignored=0.3):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, classes, *size, generator=generator, dtype=torch.float64, requires_grad=True)
    masks = torch.randint(0, classes, (n, *size), generator=generator)
    masks[torch.rand(n, *size, generator=generator) < ignored] = IGNORE
    return logits, masks


def whole(reduction, logits, masks):
    loss = SegmentationLoss(reduction, IGNORE)
    return loss(logits, masks, loss.pixels(masks))


def brute_force_sum(logits, masks):
    total = 0.0
    values, labels = logits.detach().numpy(), masks.numpy()
    for n, y, x in np.ndindex(*labels.shape):
        if labels[n, y, x] != IGNORE:
            scores = values[n, :, y, x]
            total += np.log(np.exp(scores).sum()) - scores[labels[n, y, x]]
    return total


@pytest.mark.parametrize("seed", range(3))
def test_each_reduction_divides_the_sum_over_labelled_pixels_by_its_own_count(seed):
    logits, masks = random_case(seed)
    total, labelled = brute_force_sum(logits, masks), int((masks != IGNORE).sum())
    assert whole("sum", logits, masks).item() == pytest.approx(total, rel=1e-12)
    assert whole("labelled_pixels", logits, masks).item() == pytest.approx(total / labelled, rel=1e-12)
    assert whole("all_pixels", logits, masks).item() == pytest.approx(total / masks.numel(), rel=1e-12)


def test_labelled_pixels_is_torch_mean_with_ignore_index_in_value_and_gradient():
    logits, masks = random_case(7)
    theirs = functional.cross_entropy(logits, masks, ignore_index=IGNORE)
    (expected,) = torch.autograd.grad(theirs, logits)
    ours = whole("labelled_pixels", logits, masks)
    (gradient,) = torch.autograd.grad(ours, logits)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient, expected)


def test_all_pixels_is_torch_unreduced_summed_over_all_pixels_in_value_and_gradient():
    logits, masks = random_case(8)
    each = functional.cross_entropy(logits, masks, ignore_index=IGNORE, reduction="none")
    assert each.numel() == masks.numel()
    theirs = each.sum() / masks.numel()
    (expected,) = torch.autograd.grad(theirs, logits)
    ours = whole("all_pixels", logits, masks)
    (gradient,) = torch.autograd.grad(ours, logits)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("reduction", ["labelled_pixels", "all_pixels", "sum"])
@pytest.mark.parametrize("cuts", [[1], [2], [1, 2]])
def test_shares_of_unequal_parts_add_up_to_the_whole_batch_loss(reduction, cuts):
    logits, masks = random_case(1)
    loss = SegmentationLoss(reduction, IGNORE)
    parts = list(zip(logits.tensor_split(cuts), masks.tensor_split(cuts), strict=True))
    divisor = sum(loss.pixels(mask) for _, mask in parts)
    shares = sum(loss(part, mask, divisor) for part, mask in parts)
    torch.testing.assert_close(shares, whole(reduction, logits, masks))


@pytest.mark.parametrize("reduction", ["labelled_pixels", "all_pixels", "sum"])
def test_a_batch_without_a_labelled_pixel_has_zero_loss_and_zero_gradient(reduction):
    logits, masks = random_case(2, ignored=1.1)
    loss = whole(reduction, logits, masks)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_summed_in_single_precision(dtype):
    logits = torch.zeros(1, 2, 300, 300, dtype=dtype)  # a half-precision sum of 90,000 would stall
    loss = whole("sum", logits, torch.zeros(1, 300, 300, dtype=torch.long))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(90_000 * np.log(2), rel=1e-5)


def test_an_unknown_reduction_is_refused_by_name():
    with pytest.raises(ValueError, match="median"):
        SegmentationLoss("median", IGNORE)


@pytest.mark.parametrize("reduction", ["labelled_pixels", "all_pixels", "sum"])
def test_a_pair_of_logits_costs_the_first_plus_the_weighted_second(reduction):
    (logits, masks), (auxiliary, _) = random_case(1), random_case(2)
    counts = {"labelled_pixels": int((masks != IGNORE).sum()), "all_pixels": masks.numel(), "sum": 1}
    first, second = brute_force_sum(logits, masks), brute_force_sum(auxiliary, masks)
    for section, weight in (({}, 0.4), ({"auxiliary_weight": 0.7}, 0.7), ({"auxiliary_weight": 0.0}, 0.0)):
        loss = SegmentationLoss.of(Loss(reduction, **section), IGNORE)
        divisor = loss.pixels(masks)
        expected = (first + weight * second) / counts[reduction]
        assert loss((logits, auxiliary), masks, divisor).item() == pytest.approx(expected, rel=1e-12)
        assert loss(logits, masks, divisor).item() == pytest.approx(first / counts[reduction], rel=1e-12)
