"""`batches(..., target="objects")`: the truth that detectors are trained and judged with."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv

HEIGHT, WIDTH = 40, 80
# Pixels ymin, xmin, ymax, xmax; the last two lie in the outer quarters, which a crop cuts off.
BOXES = np.array([[10, 30, 20, 40], [5, 21, 35, 59], [0, 0, 8, 8], [0, 10, 40, 30]])
RELATIVE = (BOXES / [HEIGHT, WIDTH, HEIGHT, WIDTH]).astype("float32")


def example(rows=(0, 1, 2, 3), **more):
    rows = list(rows)
    masks = np.zeros((len(rows), HEIGHT, WIDTH), "uint8")
    for mask, (top, left, bottom, right) in zip(masks, BOXES[rows], strict=True):
        mask[top:bottom, left:right] = 1
    objects = {
        "bbox": RELATIVE[rows],
        "label": np.array([5, 6, 7, 8])[rows],
        "is_crowd": np.array([False, True, False, False])[rows],
        "is_difficult": np.array([False, False, False, True])[rows],
        "area": np.array([50, 1000, 64, 800], "int64")[rows],
        "mask": masks,
    }
    image = np.zeros((HEIGHT, WIDTH, 3), "uint8")
    return {"image": image, "objects": {**objects, **more}, "image/id": 3}


def dataset(*examples):
    spec = tf.nest.map_structure(
        lambda value: tf.TensorSpec((None, *np.shape(value)[1:]), np.asarray(value).dtype),
        examples[0],
    )
    spec["image"] = tf.TensorSpec((None, None, 3), tf.uint8)
    spec["image/id"] = tf.TensorSpec((), tf.int64)
    return tf.data.Dataset.from_generator(lambda: iter(examples), output_signature=spec)


def truth_of(*examples, size=(HEIGHT, WIDTH), **kwargs):
    kwargs = {"target": "objects", **kwargs}
    batch = next(iter(kv.data.batches(dataset(*examples), size, len(examples), **kwargs)))
    return {key: value.numpy() for key, value in batch[1].items()}


def test_the_truth():
    truth = truth_of(example(), example([2]), example([]), masks=True)
    shapes = {key: (value.dtype.name, value.shape) for key, value in truth.items()}
    assert shapes == {
        "boxes": ("float32", (3, 4, 4)),
        "classes": ("int32", (3, 4)),
        "crowd": ("int32", (3, 4)),
        "difficult": ("int32", (3, 4)),
        "area": ("float32", (3, 4)),
        "size": ("int32", (3, 2)),
        "masks": ("uint8", (3, 4, HEIGHT, WIDTH)),
    }
    np.testing.assert_array_equal(truth["classes"], [[5, 6, 7, 8], [7, -1, -1, -1], [-1] * 4])
    np.testing.assert_allclose(truth["boxes"][0], RELATIVE)
    np.testing.assert_allclose(truth["boxes"][1], [RELATIVE[2], *np.zeros((3, 4))])
    np.testing.assert_array_equal(truth["crowd"][0], [False, True, False, False])
    np.testing.assert_array_equal(truth["difficult"][0], [False, False, False, True])
    np.testing.assert_allclose(truth["area"][0], np.array([50, 1000, 64, 800]) / 3200)
    np.testing.assert_array_equal(truth["size"], [[HEIGHT, WIDTH]] * 3)
    np.testing.assert_array_equal(truth["masks"][0], example()["objects"]["mask"])
    for key in ("crowd", "difficult", "area", "boxes", "masks"):
        assert not truth[key][1, 1:].any()
        assert not truth[key][2].any()


def test_what_a_source_does_not_say():
    bare = example()
    bare["objects"] = {key: bare["objects"][key] for key in ("bbox", "label")}
    truth = truth_of(bare)
    assert not truth["crowd"].any()
    assert not truth["difficult"].any()
    np.testing.assert_allclose(truth["area"][0], [100 / 3200, 1140 / 3200, 64 / 3200, 800 / 3200])
    assert "masks" not in truth


def test_without_any_object():
    truth = truth_of(example([]), example([]), masks=True)
    assert truth["boxes"].shape == (2, 0, 4)
    assert truth["masks"].shape == (2, 0, HEIGHT, WIDTH)
    padded = truth_of(example([]), masks=True, max_boxes=3)
    assert padded["masks"].shape == (1, 3, HEIGHT, WIDTH)
    assert (padded["classes"] == -1).all()


def test_at_most_so_many():
    batches = kv.data.batches(
        dataset(example(), example([1])), (20, 30), 2, target="objects", masks=True, max_boxes=2
    )
    assert batches.element_spec[1]["boxes"].shape.as_list() == [None, 2, 4]
    assert batches.element_spec[1]["masks"].shape.as_list() == [None, 2, 20, 30]
    _, truth = next(iter(batches))
    np.testing.assert_array_equal(truth["classes"], [[5, 6], [6, -1]])


# mode, size, the (height, width) in old pixels of what is then shown
FRAMES = [
    ("stretch", (30, 30), (40, 80)),
    ("crop", (30, 30), (40, 40)),
    ("crop", (30, 90), (27, 80)),
    ("pad", (30, 30), (80, 80)),
    ("pad", (80, 80), (80, 80)),
    ("pad", (20, 90), (40, 180)),
]


@pytest.mark.parametrize(("mode", "size", "frame"), FRAMES)
def test_sizes_and_areas_in_old_pixels(mode, size, frame):
    """Height and area of a box in pixels stay, however it is resized, if it is not cut."""
    truth = truth_of(example(), size=size, resize=mode, masks=True)
    np.testing.assert_array_equal(truth["size"][0], frame)
    here = truth["classes"][0].tolist().index(5)
    box = truth["boxes"][0, here] * np.tile(truth["size"][0], 2)
    assert box[2] - box[0] == pytest.approx(10, abs=0.3)
    assert box[3] - box[1] == pytest.approx(10, abs=0.3)
    assert truth["area"][0, here] * truth["size"][0].prod() == pytest.approx(50, rel=0.03)


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(40, 80), (37, 91), (61, 20), (101, 103)])
def test_masks_and_flags_follow(mode, size):
    truth = truth_of(example(), size=size, resize=mode, masks=True)
    flags = {5: (False, False), 6: (True, False), 7: (False, False), 8: (False, True)}
    for number, label in enumerate(truth["classes"][0]):
        rows, columns = (np.flatnonzero(truth["masks"][0, number].any(axis)) for axis in (1, 0))
        seen = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
        np.testing.assert_allclose(truth["boxes"][0, number] * np.tile(size, 2), seen, atol=1.0)
        assert (truth["crowd"][0, number], truth["difficult"][0, number]) == flags[label]


def test_what_a_crop_cuts():
    truth = truth_of(example(), size=(40, 40), resize="crop")
    np.testing.assert_array_equal(truth["classes"][0], [5, 6, 8])
    # Half of the last one is left, of its area too.
    np.testing.assert_allclose(truth["boxes"][0, 2], [0, 0, 1, 0.25], atol=1e-6)
    assert truth["area"][0, 2] == pytest.approx(400 / 1600)
    np.testing.assert_array_equal(truth["difficult"][0], [False, False, True])


def test_masks_from_a_map_of_instances():
    source = example()
    owner = np.zeros((HEIGHT, WIDTH, 1), "int32")
    owner[10:20, 30:40], owner[0:8, 0:8] = 12, 4
    objects = {
        "bbox": RELATIVE[[0, 2]],
        "label": np.array([5, 7]),
        "id": np.array([12, 4], "int32"),
    }
    source = {"image": source["image"], "objects": objects, "instance_mask": owner}
    data = tf.data.Dataset.from_tensors(source)
    _, truth = next(iter(kv.data.batches(data, (HEIGHT, WIDTH), 1, target="objects", masks=True)))
    np.testing.assert_array_equal(truth["masks"][0], example([0, 2])["objects"]["mask"])


@pytest.mark.parametrize("cache", [True, False])
def test_masks_come_packed_through_cache_and_shuffle(cache):
    """Also where the width is no multiple of eight."""
    examples = [example([0]), example([1, 2]), example([])]
    batches = kv.data.batches(
        dataset(*examples), (40, 77), 3, True, cache=cache, target="objects", masks=True
    )
    for _ in range(2):
        _, truth = next(iter(batches))
        by_class = {
            int(label): mask
            for labels, masks in zip(truth["classes"], truth["masks"].numpy(), strict=True)
            for label, mask in zip(labels, masks, strict=True)
            if label >= 0
        }
        assert set(by_class) == {5, 6, 7}
        for label, box in zip((5, 6, 7), RELATIVE, strict=False):
            share = (box[2] - box[0]) * (box[3] - box[1])
            assert by_class[label].mean() == pytest.approx(share, rel=0.1)


@pytest.mark.parametrize(
    ("box", "label"), [([0.5, 0.5, 0.5, 0.6], 1), ([np.nan, 0, 1, 1], 2), ([0.6, 0, 0.2, 1], 3)]
)
def test_boxes_without_an_area_go(box, label):
    source = example([0, 2])
    source["objects"] = {
        "bbox": np.array([RELATIVE[0], box], "float32"),
        "label": np.array([5, label]),
    }
    truth = truth_of(source)
    np.testing.assert_array_equal(truth["classes"], [[5]])


@pytest.mark.parametrize(
    ("change", "kwargs", "message"),
    [
        (lambda e: {**e, "label": 1}, {"masks": True}, "must go with `target='objects'`"),
        (lambda e: e, {"masks": True, "target": "label"}, "must have the target 'label'"),
        (
            lambda e: {**e, "objects": {k: e["objects"][k] for k in ("bbox", "label")}},
            {"masks": True, "target": "objects"},
            "must have masks of their objects.*'bbox', 'label'.*annotations='instances'",
        ),
        (
            lambda e: {**e, "objects": {"bbox": e["objects"]["bbox"]}},
            {},
            "must be a dict with 'bbox'",
        ),
        (lambda e: {"image": e["image"]}, {"masks": True}, "must go with `target='objects'`"),
    ],
)
def test_errors(change, kwargs, message):
    with pytest.raises(ValueError, match=message):
        kv.data.batches(dataset(example()).map(change), 32, **kwargs)


def test_under_a_strategy():
    """Keras adds up a first batch there, which it cannot do with bools."""
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        image = keras.Input((16, 16, 3))
        model = Counting(image, keras.layers.Flatten()(image))
        model.compile()
    data = dataset(example(), example([1]), example([]), example())
    data = data.apply(tf.data.experimental.assert_cardinality(4))
    batches = kv.data.batches(data, 16, 2, True, target="objects", masks=True)
    # A gradient would be exchanged under a number that other tests use too.
    each = (4 + 1 + 0 + 4) / 4 + 1
    assert model.evaluate(batches, verbose=0) == pytest.approx(2 * each)  # added over replicas


class Counting(keras.Model):
    """Has the number of objects as its loss, and 1 for masks that are 0 and 1."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        count = keras.ops.sum(keras.ops.cast(y["classes"] >= 0, "float32"), axis=-1)
        masks = keras.ops.cast(keras.ops.all(y["masks"] <= 1), "float32")
        return keras.ops.mean(count) + masks
