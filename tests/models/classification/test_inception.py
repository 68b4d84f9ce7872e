"""Facts of the four papers, computed another way."""

import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv


def shapes_only(builder, **options):
    return without_weights(lambda: builder(**options))


def outputs(model, names):
    return [tuple(model.get_layer(name).output.shape[1:]) for name in names]


def longest_chain(model, kinds):
    """The greatest number of layers of some kinds on a path from input to output."""
    reached = {}
    for layer in model.layers:
        inputs = keras.tree.flatten(layer.input)
        before = max((reached.get(id(tensor), 0) for tensor in inputs), default=0)
        reached[id(layer.output)] = before + isinstance(layer, kinds)
    return max(reached.values())


def test_googlenet_table_1():
    model = shapes_only(kv.models.GoogLeNet)
    names = ["conv1", "pool1", "conv2", "pool2"]
    sides, depths = (112, 56, 56, 28), (64, 64, 192, 192)
    names += [f"inception_{m}" for m in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")]
    sides += (28, 28, 14, 14, 14, 14, 14, 7, 7)
    depths += (256, 480, 512, 512, 512, 528, 832, 832, 1024)
    assert outputs(model, names) == [(s, s, d) for s, d in zip(sides, depths, strict=True)]
    with_weights = (keras.layers.Conv2D, keras.layers.Dense)
    assert longest_chain(model, with_weights) == 22
    assert not [la for la in model.layers if isinstance(la, keras.layers.BatchNormalization)]


def test_googlenet_has_true_5x5_convolutions():
    model = kv.models.GoogLeNet(alpha=0.125)
    fives = [la.name for la in model.layers if getattr(la, "kernel_size", None) == (5, 5)]
    assert len(fives) == 9
    assert all(name.endswith("_5x5") for name in fives)


def test_googlenet_heads_train_and_are_left_behind():
    options = {"alpha": 0.25, "classes": 5, "input_shape": (65, 97, 3)}
    model = kv.models.GoogLeNet(auxiliary_heads=True, **options)
    assert list(model.output) == ["predictions", "auxiliary_4a", "auxiliary_4d"]
    rates = [la.rate for la in model.layers if isinstance(la, keras.layers.Dropout)]
    assert sorted(rates) == [0.4, 0.7, 0.7]
    plain = kv.models.copy_weights(model, kv.models.GoogLeNet(**options))
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 65, 97, 3)).astype("float32")
    np.testing.assert_allclose(plain(pixels), model(pixels)["predictions"], rtol=1e-5)


def test_googlenet_heads_load_for_other_classes(tmp_path):
    options = {"alpha": 0.25, "auxiliary_heads": True, "input_shape": (65, 65, 3)}
    trained = kv.models.GoogLeNet(classes=5, **options)
    trained.save(tmp_path / "model.keras")
    again = kv.models.GoogLeNet(classes=7, weights=tmp_path / "model.keras", **options)
    np.testing.assert_array_equal(
        again.get_layer("auxiliary_4a_fc").kernel, trained.get_layer("auxiliary_4a_fc").kernel
    )
    assert again.get_layer("auxiliary_4d").output.shape == (None, 7)


@pytest.mark.parametrize("shape", [(64, 96, 3), (None, None, 3)])
def test_googlenet_heads_need_room(shape):
    with pytest.raises(ValueError, match="must be known and leave 5x5 positions"):
        kv.models.GoogLeNet(auxiliary_heads=True, input_shape=shape)
    with pytest.raises(ValueError, match="`auxiliary_heads=True` must be used with"):
        kv.models.GoogLeNet(auxiliary_heads=True, include_top=False)


def test_inception_v2_grids():
    model = shapes_only(kv.models.InceptionV2)
    modules = ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    sides = (28, 28, 14, 14, 14, 14, 14, 7, 7, 7)
    depths = (256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024)
    names = [f"inception_{module}" for module in modules]
    assert outputs(model, names) == [(s, s, d) for s, d in zip(sides, depths, strict=True)]
    pools = {la.name: type(la).__name__ for la in model.layers if la.name.endswith("_pool")}
    largest = [name for name, kind in pools.items() if kind == "MaxPooling2D"]
    assert largest == ["inception_3c_pool", "inception_4e_pool", "inception_5b_pool"]


def test_inception_v3_table_1():
    model = shapes_only(kv.models.InceptionV3)
    names = ["stem_1", "stem_2", "stem_3", "pool1", "stem_4", "stem_5", "pool2"]
    assert outputs(model, names) == [
        (149, 149, 32),
        (147, 147, 32),
        (147, 147, 64),
        (73, 73, 64),
        (73, 73, 80),
        (71, 71, 192),
        (35, 35, 192),
    ]
    mixed = [f"mixed{i}" for i in range(11)]
    sides = (35,) * 3 + (17,) * 5 + (8,) * 3
    depths = (256, 288, 288) + (768,) * 5 + (1280, 2048, 2048)
    assert outputs(model, mixed) == [(s, s, d) for s, d in zip(sides, depths, strict=True)]


def test_inception_v3_head():
    options = {"alpha": 0.125, "classes": 4}
    model = shapes_only(kv.models.InceptionV3, auxiliary_head=True, **options)
    assert list(model.output) == ["predictions", "auxiliary_mixed7"]
    assert model.get_layer("auxiliary_mixed7_5x5").output.shape == (None, 1, 1, 96)
    with pytest.raises(ValueError, match=r"must be such that mixed7 has 17x17.*it has \(12, 12\)"):
        kv.models.InceptionV3(auxiliary_head=True, input_shape=(224, 224, 3), **options)


def test_inception_v3_with_fewer_modules_keeps_its_levels():
    whole, short = (shapes_only(kv.models.InceptionV3, blocks=b) for b in ((3, 4, 2), (1, 1, 1)))
    assert kv.models.levels(short) == kv.models.levels(whole)
    modules = [f"mixed{index}" for index in range(11)]
    kept = [name for name in modules if name in {layer.name for layer in short.layers}]
    assert kept == ["mixed2", "mixed3", "mixed7", "mixed8", "mixed10"]
    for blocks in ((4, 7), (4, 4, 2), (0, 4, 2)):
        with pytest.raises(ValueError, match=r"three numbers from 1 .* Received: \("):
            kv.models.InceptionV3(blocks=blocks)


def test_inception_v4_grids():
    model = shapes_only(kv.models.InceptionV4)
    names = ["stem_mixed_1", "stem_mixed_2", "stem_mixed_3", "inception_a", "reduction_a"]
    names += ["inception_b", "reduction_b", "inception_c"]
    sides, depths = (73, 71, 35, 35, 17, 17, 8, 8), (160, 192, 384, 384, 1024, 1024, 1536, 1536)
    assert outputs(model, names) == [(s, s, d) for s, d in zip(sides, depths, strict=True)]
    with pytest.raises(ValueError, match=r"three numbers from 1 .* Received: \(4, 7\)"):
        kv.models.InceptionV4(blocks=(4, 7))


@pytest.mark.parametrize("builder", [kv.models.InceptionV3, kv.models.InceptionV4])
@pytest.mark.parametrize("stem_strides", [8, 4, 2, 1])
def test_the_least_size_leaves_one_position(builder, stem_strides):
    least = {8: 75, 4: 39, 2: 23, 1: 17}[stem_strides]
    options = {"stem_strides": stem_strides, "alpha": 0.125, "include_top": False}
    model = shapes_only(builder, input_shape=(least, least, 3), **options)
    assert model.output_shape[1:3] == (1, 1)
    with pytest.raises(ValueError, match=f"must be at least {least} in"):
        builder(input_shape=(least - 1, least, 3), **options)


@pytest.mark.parametrize("name", ["GoogLeNet", "InceptionV2", "InceptionV3", "InceptionV4"])
def test_stems_for_small_pictures_keep_the_weights(name):
    whole, small = (
        shapes_only(getattr(kv.models, name), input_shape=(96, 96, 3), stem_strides=strides)
        for strides in (8, 1)
    )
    assert [w.shape for w in whole.weights] == [w.shape for w in small.weights]
    assert list(kv.models.levels(whole))[-1] == 8 * list(kv.models.levels(small))[-1]
    with pytest.raises(ValueError, match=r"`stem_strides` must be one of \[8, 4, 2, 1\]"):
        kv.build_model(name, stem_strides=3)
    with pytest.raises(ValueError, match=f"`alpha` must be greater than 0 in `{name}`"):
        kv.build_model(name, alpha=0)
