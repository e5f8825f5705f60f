"""The confusion matrix and its scores, against naive loops and torchmetrics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_src.evaluation.confusion import Confusion

ODD_SIZES = [(1, 1), (1, 7), (5, 3), (13, 31), (37, 23)]


def random_pair(rng, size, classes, ignored=0.1):
    truth = rng.integers(0, classes, size).astype(np.uint8)
    truth[rng.random(size) < ignored] = 255
    return truth, rng.integers(0, classes, size).astype(np.int32)


def naive_counts(pairs, classes):
    counts = [[0] * classes for _ in range(classes)]
    for truth, prediction in pairs:
        for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
            if t != 255:
                counts[t][p] += 1
    return counts


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [2, 5, 21])
def test_counts_equal_a_loop_over_pixels(seed, classes):
    rng = np.random.default_rng(seed)
    pairs = [random_pair(rng, size, classes) for size in ODD_SIZES]
    confusion = Confusion(classes)
    for truth, prediction in pairs:
        confusion.add(truth, prediction)
    assert confusion.counts.tolist() == naive_counts(pairs, classes)
    assert confusion.counts.dtype == np.int64
    assert confusion.ignored == sum(int((truth == 255).sum()) for truth, _ in pairs)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_those_from_sets_of_pixels(seed):
    """The Jaccard index by its definition: intersection over union of two sets of pixel positions."""
    rng = np.random.default_rng(seed)
    classes = 7
    truth, prediction = random_pair(rng, (29, 31), classes)
    truth[truth == 3] = 0
    prediction[prediction == 3] = 1  # class 3 occurs nowhere
    truth[truth == 4] = 5  # class 4 is only predicted: its IoU is 0 and counts
    confusion = Confusion(classes)
    confusion.add(truth, prediction)
    scores = confusion.scores()

    labelled = {(int(y), int(x)) for y, x in zip(*np.nonzero(truth != 255), strict=True)}
    expected = []
    for c in range(classes):
        true_set = {position for position in labelled if truth[position] == c}
        predicted_set = {position for position in labelled if prediction[position] == c}
        union = true_set | predicted_set
        expected.append(len(true_set & predicted_set) / len(union) if union else None)
    assert scores["per_class_iou"] == pytest.approx(expected)
    assert scores["per_class_iou"][3] is None
    assert scores["per_class_iou"][4] == 0.0
    present = [value for value in expected if value is not None]
    assert scores["miou"] == pytest.approx(float(np.mean(present)))
    right = sum(truth[position] == prediction[position] for position in labelled)
    assert scores["pixel_accuracy"] == pytest.approx(right / len(labelled))
    assert scores["pixels"] == len(labelled)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_torchmetrics_when_every_class_occurs(seed):
    torch = pytest.importorskip("torch")
    classification = pytest.importorskip("torchmetrics.classification")
    rng = np.random.default_rng(seed)
    classes = 6
    pairs = [random_pair(rng, (41, 33), classes) for _ in range(4)]
    confusion = Confusion(classes)
    arguments = {"num_classes": classes, "ignore_index": 255}
    jaccard = classification.MulticlassJaccardIndex(**arguments, average="none")
    accuracy = classification.MulticlassAccuracy(**arguments, average="macro")
    pixel = classification.MulticlassAccuracy(**arguments, average="micro")
    for truth, prediction in pairs:
        confusion.add(truth, prediction)
        for metric in (jaccard, accuracy, pixel):
            metric.update(torch.from_numpy(prediction), torch.from_numpy(truth.astype(np.int64)))
    scores = confusion.scores()
    assert scores["per_class_iou"] == pytest.approx(jaccard.compute().tolist(), abs=1e-6)
    assert scores["miou"] == pytest.approx(float(jaccard.compute().mean()), abs=1e-6)
    assert scores["mean_accuracy"] == pytest.approx(float(accuracy.compute()), abs=1e-6)
    assert scores["pixel_accuracy"] == pytest.approx(float(pixel.compute()), abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_merging_parts_equals_counting_everything_in_one(seed, parts):
    rng = np.random.default_rng(seed)
    pairs = [random_pair(rng, size, 4) for size in ODD_SIZES]
    whole = Confusion(4)
    shares = [Confusion(4) for _ in range(parts)]
    for number, (truth, prediction) in enumerate(pairs):
        whole.add(truth, prediction)
        shares[number % parts].add(truth, prediction)
    merged = Confusion(4)
    for share in reversed(shares):
        merged.merge(share)
    assert (merged.counts == whole.counts).all()
    assert merged.scores() == whole.scores()


def test_what_is_predicted_on_ignored_pixels_changes_nothing():
    rng = np.random.default_rng(0)
    truth, prediction = random_pair(rng, (17, 19), 3, ignored=0.5)
    other = prediction.copy()
    other[truth == 255] = (other[truth == 255] + 1) % 3
    first, second = Confusion(3), Confusion(3)
    first.add(truth, prediction)
    second.add(truth, other)
    assert (other != prediction).any()
    assert (first.counts == second.counts).all()


def test_an_entirely_ignored_image_has_no_scores():
    confusion = Confusion(3)
    confusion.add(np.full((5, 4), 255, dtype=np.uint8), np.zeros((5, 4), dtype=np.int32))
    scores = confusion.scores()
    assert scores["miou"] is None
    assert scores["pixel_accuracy"] is None
    assert scores["mean_accuracy"] is None
    assert scores["pixels"] == 0
    assert scores["ignored_pixels"] == 20


def test_counts_do_not_overflow_32_bits():
    confusion = Confusion(2)
    confusion.add(np.zeros((4, 4), dtype=np.uint8), np.zeros((4, 4), dtype=np.int32))
    confusion.counts *= 2**40
    assert confusion.scores()["pixels"] == 2**44


@pytest.mark.parametrize("wrong", [-1, 3, 255, 1000])
def test_a_prediction_outside_the_classes_is_refused(wrong):
    prediction = np.zeros((3, 3), dtype=np.int32)
    prediction[1, 1] = wrong
    with pytest.raises(ValueError, match=rf"prediction holds id {wrong}, the classes are 0\.\.2"):
        Confusion(3).add(np.zeros((3, 3), dtype=np.uint8), prediction)


def test_a_true_id_outside_the_classes_is_refused():
    with pytest.raises(ValueError, match="ground truth holds id 7"):
        Confusion(3).add(np.full((2, 2), 7, dtype=np.uint8), np.zeros((2, 2), dtype=np.int32))


def test_sizes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 2\), prediction is \(2, 3\)"):
        Confusion(3).add(np.zeros((2, 2), dtype=np.uint8), np.zeros((2, 3), dtype=np.int32))


def test_an_ignore_index_among_the_classes_is_refused():
    with pytest.raises(ValueError, match="ignore_index 2"):
        Confusion(3, ignore_index=2)
