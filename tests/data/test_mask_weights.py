"""Weights of classes and borders, against what can be worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.data.mask_weights import border_weights


def dataset(*masks):
    masks = np.stack(masks)[..., None].astype("uint8")
    images = np.zeros((*masks.shape[:3], 3), "uint8")
    return tf.data.Dataset.from_tensor_slices({"image": images, "segmentation_mask": masks})


def random_masks(count=7, classes=4):
    random = np.random.default_rng(3)
    masks = random.choice([0, 1, 2, 3, 255], (count, 10, 12), p=[0.5, 0.3, 0.1, 0.05, 0.05])
    masks[2:][masks[2:] == 3] = 0  # a class that is in few images
    return masks


def by_hand(masks, classes):
    frequencies = []
    for index in range(classes):
        images = [mask for mask in masks if (mask == index).any()]
        frequencies.append(
            sum((mask == index).sum() for mask in images)
            / sum((mask != 255).sum() for mask in images)
        )
    return np.median(frequencies) / np.array(frequencies)


@pytest.mark.parametrize("form", ["examples", "batches", "pairs", "weighted"])
def test_median_frequency_is_that_of_numpy(form):
    masks = random_masks()
    source = dataset(*masks)
    if form == "batches":
        source = kv.data.batches(source, (10, 12), 3)
    elif form == "pairs":
        source = source.map(lambda e: (e["image"], e["segmentation_mask"]))
    elif form == "weighted":
        source = kv.data.batches(kv.data.with_border_weights(source), (10, 12), 3)
    weights = kv.data.median_frequency_weights(source, 4, progress=False)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, by_hand(masks, 4), rtol=1e-6)


def test_two_images_worked_out_on_paper():
    """Class 0: 6 of 8; class 1: 1 of 4 in the one image that has it; class 2: 1 of 4."""
    first, second = np.array([[0, 0], [0, 1]]), np.array([[0, 0], [0, 2]])
    weights = kv.data.median_frequency_weights(dataset(first, second), 3, progress=False)
    np.testing.assert_allclose(weights, [0.25 / 0.75, 1.0, 1.0])


def test_void_counts_for_nothing():
    mask = np.array([[0, 0, 1, 255, 255, 255]])
    weights = kv.data.median_frequency_weights(dataset(mask), 2, progress=False)
    np.testing.assert_allclose(weights, [0.5 / (2 / 3), 0.5 / (1 / 3)])


def test_absent_classes_are_named():
    with pytest.warns(UserWarning, match=r"No pixel is of: cat, dog \(weight 0\)"):
        weights = kv.data.median_frequency_weights(
            dataset(np.array([[0, 2]])), ["sky", "cat", "road", "dog"], progress=False
        )
    np.testing.assert_allclose(weights, [1, 0, 1, 0])
    with pytest.warns(UserWarning, match="class 0, class 1"):
        weights = kv.data.median_frequency_weights(dataset(np.full((2, 2), 255)), 2, progress=False)
    np.testing.assert_array_equal(weights, 0)


def test_one_pass_and_a_bar(capsys):
    passes = []

    def count(example):
        tf.py_function(lambda: passes.append(1), [], [])
        return example

    source = dataset(*random_masks()).map(count)
    kv.data.median_frequency_weights(source, 4)
    assert "7/7" in capsys.readouterr().out
    assert len(passes) == 7
    kv.data.median_frequency_weights(source, 4, progress=False)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("classes", "source", "message"),
    [
        (2, dataset(np.array([[0, 1, 7]])), r"labels 0..1 and 255.*\[7\]"),
        (0, dataset(np.array([[0]])), "`classes` must be a whole number"),
        (True, dataset(np.array([[0]])), "`classes` must be a whole number"),
        (256, dataset(np.array([[0]])), "`classes` must be a whole number"),
        (2, dataset(np.array([[0]])).map(lambda e: {"image": e["image"]}), "must hold masks"),
        (2, dataset(np.array([[0]])).map(lambda e: (e["image"], 1)), "must hold masks"),
        (2, dataset(np.array([[0]])).repeat(), "must end"),
    ],
)
def test_errors_of_class_weights(classes, source, message):
    with pytest.raises(ValueError, match=message):
        kv.data.median_frequency_weights(source, classes, progress=False)


def two_squares(gap):
    """Two squares of 10 x 10, `gap` columns of background between them."""
    mask = np.zeros((30, 40 + gap), "uint8")
    mask[10:20, 10:20] = mask[10:20, 20 + gap : 30 + gap] = 1
    return mask


@pytest.mark.parametrize("gap", [1, 3, 4])
def test_a_gap_worked_out_on_paper(gap):
    """In the gap's middle row d1 + d2 is the gap's width plus one, whatever the column."""
    mask = two_squares(gap)
    weights = border_weights(mask, w0=10.0, sigma=5.0, class_weight=np.array([0.3, 0.7]))
    assert weights.dtype == np.float32
    expected = 0.3 + 10 * np.exp(-((gap + 1) ** 2) / 50)
    np.testing.assert_allclose(weights[15, 20 : 20 + gap], expected, rtol=1e-6)
    np.testing.assert_allclose(weights[mask == 1], 0.7)
    # Far from the second square, hardly more than the class.
    assert weights[15, 0] == pytest.approx(0.3, abs=2e-3)
    # Two rows above the gap's middle, by Pythagoras.
    column = 20 + gap // 2
    left, right = np.hypot(column - 19, 2), np.hypot(20 + gap - column, 2)
    expected = 0.3 + 10 * np.exp(-((left + right) ** 2) / 50)
    assert weights[8, column] == pytest.approx(expected, rel=1e-6)


def brute_force(mask, w0, sigma):
    """Equation 2 over whole images, every distance to every pixel."""
    from scipy import ndimage

    objects, count = ndimage.label(mask == 1)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    distances = []
    for number in range(1, count + 1):
        rows, columns = np.nonzero(objects == number)
        distances.append(
            np.sqrt(((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2).min(-1))
        )
    first, second = np.sort(distances, axis=0)[:2]
    weights = np.where(mask == 1, 0.0, w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2)))
    for index in (0, 1):
        weights[mask == index] += mask.size / (2 * (mask == index).sum())
    return weights


@pytest.mark.parametrize(("w0", "sigma"), [(10.0, 5.0), (1.0, 1.0), (50.0, 12.0)])
def test_many_cells_equal_brute_force(w0, sigma):
    random = np.random.default_rng(0)
    mask = np.zeros((60, 70), "uint8")
    for _ in range(14):
        y, x = random.integers(0, 50), random.integers(0, 60)
        mask[y : y + random.integers(2, 9), x : x + random.integers(2, 9)] = 1
    np.testing.assert_allclose(
        border_weights(mask, w0, sigma), brute_force(mask, w0, sigma), atol=2e-4, rtol=1e-5
    )


def test_classes_of_an_image_weigh_alike():
    mask = np.zeros((10, 10), "uint8")
    mask[:2, :5], mask[5, 5] = 1, 255
    weights = border_weights(mask, w0=0.0)
    assert weights[mask == 0].sum() == pytest.approx(weights[mask == 1].sum())
    assert weights.sum() == pytest.approx(99, rel=1e-5)
    assert weights[5, 5] == 0


def test_objects_of_other_classes_are_others():
    """Two classes that touch are two objects; a class may be told to be ground."""
    mask = np.zeros((20, 30), "uint8")
    mask[5:15, 5:10], mask[5:15, 11:16] = 1, 2
    both = border_weights(mask, class_weight=np.ones(3))
    assert both[10, 10] == pytest.approx(1 + 10 * np.exp(-4 / 50))
    one = border_weights(mask, class_weight=np.ones(3), foreground=[1])
    np.testing.assert_allclose(one, 1.0)


@pytest.mark.parametrize("value", [0, 1, 255])
def test_nothing_to_separate(value):
    weights = border_weights(np.full((6, 7), value, "uint8"))
    np.testing.assert_allclose(weights, 0.0 if value == 255 else 1.0)


def test_dataset_with_border_weights():
    masks = [two_squares(3), two_squares(3)[::-1]]
    source = kv.data.with_border_weights(dataset(*masks), w0=5.0, sigma=3.0)
    for example, mask in zip(source.as_numpy_iterator(), masks, strict=True):
        assert set(example) == {"image", "segmentation_mask", "pixel_weight"}
        np.testing.assert_allclose(
            example["pixel_weight"][..., 0], border_weights(mask, 5.0, 3.0), rtol=1e-6
        )


def test_a_folder_is_still_shuffled_by_its_names(tmp_path, save_image):
    from kvision.data.sources.readable import rows_and_reader

    for number in range(3):
        save_image(tmp_path / "images" / f"{number}.png", shape=(30, 43))
        save_image(tmp_path / "masks" / f"{number}.png", two_squares(3))
    source = kv.data.with_border_weights(kv.data.load(tmp_path, "train"))
    _, read = rows_and_reader(source)
    assert "pixel_weight" in read(0)
    batches = kv.data.batches(source, (30, 43), 3, True, cache=False)
    _, masks, weights = next(batches.as_numpy_iterator())
    np.testing.assert_allclose(weights[0, ..., 0], border_weights(masks[0, ..., 0]), rtol=1e-6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"w0": -1}, "`w0` must be 0 or more"), ({"sigma": 0}, "`sigma` above 0")],
)
def test_errors_of_border_weights(kwargs, message):
    with pytest.raises(ValueError, match=message):
        kv.data.with_border_weights(dataset(two_squares(3)), **kwargs)


def test_errors_of_border_weights_in_data():
    with pytest.raises(ValueError, match="must yield dicts with 'segmentation_mask'"):
        kv.data.with_border_weights(dataset(two_squares(3)).map(lambda e: e["image"]))
    with pytest.raises(ValueError, match="a weight for every class. Received 1 weights"):
        border_weights(two_squares(3), class_weight=np.ones(1))
