import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_src.data.scenes.generator import NAMED_PIXELS, SceneSettings, generate_scene, generate_scenes
from pipeline_src.data.scenes.paint import NUM_CLASSES, class_shape, class_texture
from pipeline_src.data.scenes.scene import contour_band
from pipeline_src.data.scenes.shapes import SHAPES
from pipeline_src.errors import InputError

SETTINGS = SceneSettings(seed=5, smallest=(96, 72), largest=(160, 120), objects=(2, 7))


@pytest.fixture(scope="module")
def scenes():
    return list(generate_scenes(SETTINGS, "train", 40))


def same(one, other):
    return (
        one.id == other.id
        and one.objects == other.objects
        and all(
            np.array_equal(getattr(one, name), getattr(other, name))
            for name in ("image", "labels", "instances", "void")
        )
    )


def test_scene_depends_on_seed_split_and_number_alone(scenes):
    assert same(generate_scene(SETTINGS, "train", 17), scenes[17])
    assert not same(generate_scene(SETTINGS, "val", 17), scenes[17])
    assert all(same(one, other) for one, other in zip(generate_scenes(SETTINGS, "train", 3), scenes))
    other = SceneSettings(seed=6, smallest=(96, 72), largest=(160, 120), objects=(2, 7))
    assert not same(generate_scene(other, "train", 17), scenes[17])
    assert len({scene.image.tobytes() for scene in scenes}) == len(scenes)


def test_maps_and_objects_of_a_scene_agree(scenes):
    for scene in scenes:
        height, width = scene.labels.shape
        assert scene.image.shape == (height, width, 3) and scene.image.dtype == np.uint8
        assert scene.instances.shape == scene.void.shape == (height, width)
        assert {item.instance for item in scene.objects} == set(np.unique(scene.instances)) - {0}
        assert [item.instance for item in scene.objects] == list(range(1, len(scene.objects) + 1))
        assert np.array_equal(scene.labels > 0, scene.instances > 0)
        for item in scene.objects:
            rows, columns = np.nonzero(scene.instances == item.instance)
            assert set(scene.labels[rows, columns]) == {item.label} and 1 <= item.label <= NUM_CLASSES
            assert item.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert item.area == len(rows) >= NAMED_PIXELS
            assert 0 < item.visible <= 1


def test_sizes_lie_in_the_range_and_vary(scenes):
    sizes = {(scene.labels.shape[1], scene.labels.shape[0]) for scene in scenes}
    assert all(96 <= width <= 160 and 72 <= height <= 120 for width, height in sizes)
    assert len(sizes) > 30


def test_objects_have_all_sizes_and_every_difficulty_occurs(scenes):
    objects = [item for scene in scenes for item in scene.objects]
    longest = np.array([max(item.box[2] - item.box[0], item.box[3] - item.box[1]) for item in objects])
    whole = np.array([not (item.truncated or item.crowd) for item in objects])
    assert (longest[whole] < 10).sum() > 5 and (longest < 32).sum() > 30 and (longest > 64).sum() > 3
    for fact in ("truncated", "occluded", "difficult", "crowd"):
        share = np.mean([getattr(item, fact) for item in objects])
        assert 0.02 < share < 0.6, fact
    assert {item.label for item in objects} == set(range(1, NUM_CLASSES + 1))


def test_objects_may_be_kept_large_and_without_crowds():
    chosen = {"objects": (1, 1), "shares": (0.1, 0.2), "crowds": 0.0}
    large = SceneSettings(seed=5, smallest=(96, 72), largest=(160, 120), **chosen)
    for scene in generate_scenes(large, "train", 40):
        for item in scene.objects:
            assert not item.crowd
            # a shape's area is its outline's, and what lies outside the image is not seen
            share = item.area / item.visible / scene.labels.size
            assert 0.09 < share < 0.22


def test_crowds_may_be_asked_for():
    crowded = SceneSettings(seed=5, smallest=(96, 72), largest=(160, 120), crowds=1.0)
    objects = [item for scene in generate_scenes(crowded, "train", 10) for item in scene.objects]
    assert objects and all(item.crowd for item in objects if item.visible > 0.9)


def test_truncated_objects_reach_the_edge_of_the_image(scenes):
    for scene in scenes:
        height, width = scene.labels.shape
        for item in scene.objects:
            left, top, right, bottom = item.box
            at_edge = left == 0 or top == 0 or right == width or bottom == height
            if item.truncated and not item.occluded:
                assert at_edge


def test_void_is_a_band_on_both_sides_of_every_contour(scenes):
    for scene in scenes:
        for axis in (0, 1):
            one = np.take(scene.instances, range(scene.instances.shape[axis] - 1), axis)
            two = np.take(scene.instances, range(1, scene.instances.shape[axis]), axis)
            for side in (range(scene.void.shape[axis] - 1), range(1, scene.void.shape[axis])):
                assert np.take(scene.void, side, axis)[one != two].all()
        assert 0 < scene.void.mean() < 0.5 or not scene.objects


@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(2, 9), st.integers(2, 9))
@settings(max_examples=40, deadline=None)
def test_contour_band_matches_its_definition(seed, width, rows, columns):
    instances = np.random.default_rng(seed).integers(0, 3, (rows, columns)).astype(np.uint16)
    contour = np.zeros((rows, columns), dtype=bool)
    for y in range(rows):
        for x in range(columns):
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if 0 <= y + dy < rows and 0 <= x + dx < columns:
                    contour[y, x] |= instances[y, x] != instances[y + dy, x + dx]
    at = np.argwhere(contour)
    expected = np.zeros_like(contour)
    for y in range(rows):
        for x in range(columns):
            steps = np.abs(at - (y, x)).sum(axis=1)
            expected[y, x] = steps.size and steps.min() <= width - 1
    assert np.array_equal(contour_band(instances, width), expected)


@pytest.mark.parametrize(("shape", "area"), SHAPES, ids=lambda value: getattr(value, "__name__", None))
def test_shape_is_a_distance_of_the_stated_area_within_the_unit_square(shape, area):
    axis = np.linspace(-1.25, 1.25, 501, dtype=np.float32)
    u, v = np.meshgrid(axis, axis)
    distance = shape(u, v)
    step = float(axis[1] - axis[0])
    inside = distance < 0
    assert abs(inside.sum() * step**2 - area) < 0.02 * area
    assert np.abs(u[inside]).max() <= 1.01 and np.abs(v[inside]).max() <= 1.01
    # a distance changes by one per unit, except on ridges
    slope = np.hypot(*np.gradient(distance, step))
    assert np.mean(np.abs(slope - 1) < 0.02) > 0.9


def test_classes_differ_in_shape_or_texture():
    u, v = (axis.astype(np.float32) for axis in np.meshgrid(*[np.linspace(-1, 1, 41)] * 2))
    looks = {
        (class_shape(label), class_texture(label, u, v, 30.0).tobytes())
        for label in range(1, NUM_CLASSES + 1)
    }
    assert len(looks) == NUM_CLASSES


@pytest.mark.parametrize("seed", range(8))
def test_scenes_of_any_size_can_be_drawn(seed):
    tiny = SceneSettings(seed=seed, smallest=(16, 16), largest=(50, 90), objects=(0, 9))
    for scene in generate_scenes(tiny, "train", 25):
        assert scene.labels.max(initial=0) <= NUM_CLASSES and len(scene.objects) <= 9


def test_fewer_classes_and_fixed_size_and_count():
    small = SceneSettings(seed=0, smallest=(33, 21), largest=(33, 21), classes=2, objects=(3, 3))
    for scene in generate_scenes(small, "train", 20):
        assert scene.image.shape == (21, 33, 3)
        assert {item.label for item in scene.objects} <= {1, 2} and len(scene.objects) <= 3
    none = SceneSettings(seed=0, smallest=(33, 21), largest=(33, 21), objects=(0, 0))
    empty = generate_scene(none, "train", 0)
    assert not empty.objects and not empty.void.any() and not empty.labels.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"smallest": (8, 40)}, r"size: \[8, 40\] to \[64, 64\] must ascend and begin at 16 pixels"),
        ({"smallest": (80, 40)}, r"size: \[80, 40\] to \[64, 64\] must ascend"),
        ({"classes": 21}, r"classes: 21 is not in 1\.\.20"),
        ({"objects": (4, 2)}, r"objects: \[4, 2\] is not \[fewest, most\]"),
    ],
)
def test_settings_that_cannot_be_drawn_are_named(change, message):
    with pytest.raises(InputError, match=message):
        SceneSettings(**{"seed": 0, "smallest": (32, 32), "largest": (64, 64), **change})
