"""R-CNN's parts: features of regions, what is learned from whom, files, errors."""

import functools
import json

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.classical import RCNN, RegionFeatures, warp_regions
from kvision.classical.described import Described, describe

BOX = [0.25, 0.25, 0.75, 0.75]
NAMES = ["cat", "dog"]


@pytest.fixture(scope="module")
def network(small_classifier):
    keras.utils.set_random_seed(0)
    return small_classifier()


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), "uint8")


def truth_of(boxes, classes, **more):
    return {
        "boxes": np.array(boxes),
        "classes": np.array(classes),
        **more,
        "ignored": np.zeros((0, 4)),
    }


def test_features_are_those_of_the_warped_regions(network, pictures):
    regions = RegionFeatures(network, batch_size=4)
    assert regions.names == ("hidden", "pool")
    assert regions.lengths == (64, 4 * 4 * 32)
    boxes = np.random.default_rng(1).uniform(0, 0.4, (9, 4)) + [0, 0, 0.5, 0.5]
    features, maps = regions(pictures[0], boxes)
    crops = warp_regions(pictures[0], boxes, (32, 32), 16 / 227 * 32)
    for found, name in ((features, "hidden"), (maps, "pool")):
        layer = keras.Model(network.input, network.get_layer(name).output)
        expected = layer.predict(crops, verbose=0).reshape(9, -1)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_layers_are_alexnets_fc7_and_pool5_or_those_named():
    network = kv.models.AlexNet(classes=3, alpha=0.0625)
    regions = RegionFeatures(network)
    assert regions.size == (227, 227)
    assert regions.context == 16
    assert regions.names == ("fc7_dropout", "pool5")
    assert regions.lengths == (256, 6 * 6 * 16)
    named = RegionFeatures(network, "fc6", "conv5")
    assert named.names == ("fc6", "conv5")
    assert named.lengths == (256, 13 * 13 * 16)


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNetCIFAR", "VGG11"])
def test_registered_classifiers_serve(name, pictures):
    tiny = dict(kv.model_info(name).tiny)
    network = kv.build_model(name, **tiny)
    features, maps = RegionFeatures(network)(pictures[0], [BOX])
    assert features.shape[1] >= 4
    assert maps.shape[1] >= features.shape[1] / 2
    assert np.isfinite(features).all()


def test_grey_pictures_and_no_regions(network):
    regions = RegionFeatures(network)
    features, maps = regions(np.zeros((30, 30)), [])
    assert (features.shape, maps.shape) == ((0, 64), (0, 512))
    coloured, _ = regions(np.full((30, 30, 3), 9), [BOX])
    np.testing.assert_allclose(regions(np.full((30, 30), 9), [BOX])[0], coloured)


def test_what_a_picture_teaches(network, pictures):
    """Truths first; near are those of 0.6 and more."""
    proposals = [[0.25, 0.25, 0.75, 0.56], [0.25, 0.25, 0.75, 0.54], [0, 0, 0.1, 0.1]]
    truth = truth_of([BOX], [1])
    record = describe(RegionFeatures(network), pictures[0], truth, proposals)
    np.testing.assert_allclose(record["boxes"], [BOX, *proposals], atol=1e-6)
    assert record["near"].tolist() == [0, 1]
    assert record["near_features"].shape == (2, 512)


def test_negatives_overlap_their_class_by_less_than_three_tenths(network):
    detector = RCNN(network, NAMES)
    boxes = [[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.2], [0, 0, 0.5, 0.1], [0.6, 0.6, 1, 1]]
    record = {
        "boxes": np.array(boxes, "float32"),
        "truth_boxes": np.array([[0, 0, 0.5, 0.5]], "float32"),
        "truth_classes": np.array([1]),
        "ignored": np.array([[0.5, 0.5, 1, 1]], "float32"),
    }
    cat, dog = detector._negatives(record)
    assert cat.tolist() == [True, True, True, False]  # the last lies on what is ignored
    assert dog.tolist() == [False, False, True, False]


def test_features_are_scaled_to_a_mean_length_of_20(fitted):
    detector, described = fitted
    for index, key in enumerate(("features", "near_features")):
        lengths = np.concatenate([np.linalg.norm(record[key], axis=1) for record in described])
        assert np.isclose(lengths.mean() * detector.scales_[index], 20)


def test_scores_are_margins_through_a_sigmoid(fitted):
    detector, described = fitted
    features = described[0]["features"]
    margins = features * detector.scales_[0] @ detector.svm_weights_ + detector.svm_biases_
    np.testing.assert_allclose(
        detector.scores(features), keras.ops.sigmoid(margins), rtol=1e-3, atol=1e-5
    )


def test_pictures_without_objects_or_regions_and_classes_without_objects(network, pictures):
    truths = [
        {"boxes": [BOX], "classes": [1]},
        {"boxes": [], "classes": []},
        {"boxes": [[0.0, 0.0, 0.5, 0.5]], "classes": [0], "difficult": [True]},
    ]
    proposals = [[[0, 0, 0.2, 0.2], [0.3, 0.3, 0.8, 0.8]], [], [[0, 0, 0.5, 0.5]]]
    detector = RCNN(network, NAMES).fit(pictures, truths, proposals, verbose=0)
    found = detector.predict(pictures, proposals=proposals)
    assert set(found["classes"].ravel().tolist()) <= {-1, 1}
    assert (found["classes"][1] == -1).all()
    assert not found["boxes"][1].any()


def test_a_data_set_of_batches_is_the_same_as_lists(network, pictures):
    boxes = [[BOX], [BOX], [[0.0, 0.0, 0.5, 0.5]]]
    search = functools.partial(_grid, 4)
    lists = [{"boxes": found, "classes": [0]} for found in boxes]
    padded = {"boxes": np.zeros((3, 2, 4)), "classes": np.full((3, 2), -1)}
    padded["boxes"][:, :1], padded["classes"][:, 0] = boxes, 0
    batches = [
        (pictures[:2], {key: values[:2] for key, values in padded.items()}),
        (pictures[2:], {key: values[2:] for key, values in padded.items()}),
    ]
    first = RCNN(network, NAMES, proposals=search).fit(pictures, lists, verbose=0)
    second = RCNN(network, NAMES, proposals=search).fit(batches, verbose=0)
    np.testing.assert_array_equal(first.svm_weights_, second.svm_weights_)
    assert first.svm_weights_[:, 0].any()


def _grid(number, image):
    edges = np.arange(number) / number
    corner = np.stack(np.meshgrid(edges, edges), -1).reshape(-1, 2)
    return np.concatenate([corner, corner + 1 / number], axis=1)


def test_the_cache_goes_on_where_it_stopped(network, small_classifier, pictures, tmp_path):
    search = functools.partial(_grid, 3)
    truth = truth_of([BOX], [0])

    def described(images, model=network, truth=truth):
        result = Described(RegionFeatures(model), search, tmp_path / "features")
        for image in images:
            result.add(image, truth)
        return result

    assert described(pictures[:2]).computed == 2
    again = described(pictures)
    assert (again.computed, len(again)) == (1, 3)
    fresh = describe(RegionFeatures(network), pictures[1], truth, search(None))
    for name, values in again[1].items():
        np.testing.assert_array_equal(values, fresh[name])
    # Half a file, another truth and another classifier are no reason to believe the cache.
    next((tmp_path / "features").glob("*.npz")).write_bytes(b"PK")
    assert described(pictures).computed == 1
    assert described(pictures[:1], truth=truth_of([BOX], [1])).computed == 1
    assert described(pictures[:1], model=small_classifier()).computed == 1
    assert not list((tmp_path / "features").glob("*.part"))


def test_fitting_from_the_cache_gives_the_same(network, pictures, tmp_path):
    truths = [{"boxes": [BOX], "classes": [1]}] * 3
    proposals = [_grid(4, None)] * 3
    detectors = [
        RCNN(network, NAMES).fit(pictures, truths, proposals, folder, verbose=0)
        for folder in (None, tmp_path, tmp_path)
    ]
    for detector in detectors[1:]:
        np.testing.assert_array_equal(detector.svm_weights_, detectors[0].svm_weights_)
        np.testing.assert_array_equal(detector.box_weights_, detectors[0].box_weights_)


@pytest.mark.parametrize("move", [True, False])
def test_saved_and_loaded_it_finds_the_same(move, pictures, tmp_path):
    """With AlexNet, whose layers Keras alone does not know."""
    tiny = dict(kv.model_info("AlexNet").tiny)
    network = kv.build_model("AlexNet", **tiny)
    truths = [{"boxes": [BOX], "classes": [1]}] * 3
    proposals = [_grid(4, None)] * 3
    detector = RCNN(network, NAMES, move=move, most=7, fill=(1, 2, 3))
    detector.fit(pictures, truths, proposals, verbose=0).save(tmp_path)
    loaded = RCNN.load(tmp_path)
    assert (loaded.class_names, loaded.most, loaded.regions.fill) == (NAMES, 7, (1, 2, 3))
    given = RCNN.load(tmp_path, network, score_threshold=0.0)
    assert given.score_threshold == 0.0
    expected = detector.predict(pictures, proposals=proposals)
    assert (expected["classes"] == 1).any()
    for other in (loaded, given):
        found = other.predict(pictures, proposals=proposals)
        number = int((expected["classes"] >= 0).sum(axis=1).min())
        for key in ("boxes", "scores"):
            np.testing.assert_allclose(found[key][:, :number], expected[key][:, :number], atol=1e-5)


def test_files_hold_no_pickles(fitted, tmp_path):
    fitted[0].save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "classifier.keras",
        "rcnn.json",
        "rcnn.npz",
    }
    with np.load(tmp_path / "rcnn.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind == "f" for name in arrays.files)
    assert json.loads((tmp_path / "rcnn.json").read_text())["class_names"] == fitted[0].class_names


def test_another_classifier_is_refused(fitted, small_classifier, tmp_path):
    fitted[0].save(tmp_path)
    with pytest.raises(ValueError, match="must be the one that this R-CNN was fitted with"):
        RCNN.load(tmp_path, small_classifier())
    (tmp_path / "rcnn.npz").unlink()
    with pytest.raises(ValueError, match="without rcnn.npz"):
        RCNN.load(tmp_path)


def test_wrong_arguments_are_named(network, pictures):
    detector = RCNN(network, NAMES)
    truth = {"boxes": [BOX], "classes": [0]}
    for call in (
        lambda: detector.predict(pictures),
        lambda: detector.save("nowhere"),
        lambda: detector.fit_boxes([]),
        lambda: detector.scores(np.zeros((1, 64))),
    ):
        with pytest.raises(ValueError, match="has not been fitted"):
            call()
    with pytest.raises(ValueError, match="at least one object"):
        detector.fit(pictures[:1], [{"boxes": [], "classes": []}], [[]], verbose=0)
    with pytest.raises(ValueError, match="Classes must be below 2"):
        detector.fit(pictures[:1], [{**truth, "classes": [2]}], [[]], verbose=0)
    with pytest.raises(ValueError, match="`class_names` must be a list"):
        RCNN(network, "cat")
    with pytest.raises(ValueError, match="has no layer named 'fc7'"):
        RCNN(network, NAMES, features="fc7")
    with pytest.raises(ValueError, match="must be a keras.Model of pictures"):
        RCNN("AlexNet", NAMES)
    flat = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="no layer with weights"):
        RCNN(flat, NAMES)
    dense = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    with pytest.raises(ValueError, match="no layer with rows and columns"):
        RCNN(dense, NAMES)
