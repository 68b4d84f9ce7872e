"""Facts of the paper, computed another way."""

import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv

IMAGENET = {
    "PlainNet18": 18,
    "PlainNet34": 34,
    "ResNet18": 18,
    "ResNet34": 34,
    "ResNet50": 50,
    "ResNet101": 101,
    "ResNet152": 152,
}


def shapes_only(name, **options):
    return without_weights(lambda: kv.build_model(name, **options))


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


@pytest.mark.parametrize("name", IMAGENET)
def test_depth_is_in_the_name(name):
    model = shapes_only(name)
    beside = [layer for layer in convolutions(model) if layer.name.endswith("_0_conv")]
    assert len(convolutions(model)) - len(beside) + 1 == IMAGENET[name]
    stages = [f"conv{stage}_x" for stage in (2, 3, 4, 5)]
    widths = (64, 128, 256, 512) if IMAGENET[name] < 50 else (256, 512, 1024, 2048)
    shapes = [tuple(model.get_layer(stage).output.shape[1:]) for stage in stages]
    sides = (56, 28, 14, 7)
    assert shapes == [(side, side, width) for side, width in zip(sides, widths, strict=True)]


@pytest.mark.parametrize(("builder", "depth"), [("ResNetCIFAR", 110), ("PlainNetCIFAR", 20)])
def test_cifar_depth(builder, depth):
    model = shapes_only(builder, depth=depth)
    assert len(convolutions(model)) + 1 == depth
    shapes = [tuple(model.get_layer(f"stage_{i}").output.shape[1:]) for i in (1, 2, 3)]
    assert shapes == [(32, 32, 16), (16, 16, 32), (8, 8, 64)]


@pytest.mark.parametrize(("place", "strided"), [("1x1", "_1_conv"), ("3x3", "_2_conv")])
def test_stride_is_on_the_asked_place(place, strided):
    model = shapes_only("ResNet50", stride_on=place)
    found = {layer.name for layer in convolutions(model) if layer.strides == (2, 2)}
    expected = {f"conv{s}_block1{end}" for s in (3, 4, 5) for end in ("_0_conv", strided)}
    assert found == {"conv1_conv"} | expected


@pytest.mark.parametrize(
    ("option", "projections", "identities"), [("A", 0, 3), ("B", 3, 0), ("C", 8, 0)]
)
def test_shortcut_options(option, projections, identities):
    model = shapes_only("ResNet18", shortcut=option)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert sum(name.endswith("_0_conv") for name in (la.name for la in model.layers)) == projections
    assert kinds.count("IdentityShortcut") == identities
    assert kinds.count("Add") == 8


def test_without_shortcuts_the_networks_are_plain():
    for plain, residual in (("PlainNet34", "ResNet34"), ("PlainNetCIFAR", "ResNetCIFAR")):
        names, others = ([la.name for la in shapes_only(n).layers] for n in (plain, residual))
        assert not any(name.endswith("_add") for name in names)
        gone = set(others) - set(names)
        assert all("_0_" in name or name.endswith("_add") for name in gone)


@pytest.mark.parametrize("name", ["ResNet34", "ResNet50", "ResNetCIFAR"])
def test_blocks_whose_residual_is_zero_pass_their_input_on(name):
    """Zeros in the last normalisation of every block leave the shortcuts alone."""
    tiny = {**kv.model_info(name).tiny, "shortcut": "A"}
    model = kv.build_model(name, **tiny, include_top=False)
    for layer in model.layers:
        last = layer.name.endswith("_3_bn" if name == "ResNet50" else "_2_bn")
        if last and "block" in layer.name:
            layer.gamma.assign(np.zeros(layer.gamma.shape))
    before_blocks = "conv1_relu" if name == "ResNetCIFAR" else "pool1_pool"
    both = keras.Model(model.input, [model.get_layer(before_blocks).output, model.output])
    shape = (1, *model.input_shape[1:])
    pixels = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    start, end = (np.asarray(maps)[0] for maps in both(pixels))
    step = start.shape[0] // end.shape[0]
    assert step == (4 if name == "ResNetCIFAR" else 8)
    np.testing.assert_array_equal(end[..., : start.shape[-1]], start[::step, ::step])
    np.testing.assert_array_equal(end[..., start.shape[-1] :], 0.0)
    assert start.std() > 0.01


@pytest.mark.parametrize(
    ("name", "options"), [("ResNet18", {}), ("ResNet50", {}), ("ResNet50", {"stride_on": "3x3"})]
)
def test_dilated_network_computes_the_strided_one_on_a_finer_grid(name, options, alive):
    shape = (1, 256, 256, 3)
    common = {
        "alpha": 0.125,
        "include_top": False,
        "input_shape": shape[1:],
        "blocks": (1, 1, 1, 2),
    }
    strided = alive(kv.build_model(name, **common, **options))
    pixels = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    coarse = np.asarray(strided(pixels))[0]
    for output_stride in (16, 8):
        dilated = kv.build_model(name, **common, **options, output_stride=output_stride)
        dilated.set_weights(strided.get_weights())
        step = 32 // output_stride
        fine = np.asarray(dilated(pixels))[0][::step, ::step]
        # Away from the border, whose padding differs.
        np.testing.assert_allclose(fine[3:-3, 3:-3], coarse[3:-3, 3:-3], rtol=1e-3, atol=1e-3)
    assert coarse[3:-3, 3:-3].std() > 1e-2
    assert max(kv.models.levels(dilated)) == 8


def test_small_stems_keep_the_weights():
    for strides in (4, 2, 1):
        model = shapes_only("ResNet18", input_shape=(32, 32, 3), stem_strides=strides)
        assert model.get_layer("conv2_x").output.shape[1] == 32 // strides
        assert model.count_params() == 11_689_512 + 9_600


def test_wrong_options():
    with pytest.raises(ValueError, match=r"`shortcut` must be one of \('A', 'B', 'C'\)"):
        kv.models.ResNet18(shortcut="D")
    with pytest.raises(
        ValueError, match=r"`shortcut` must be one of \('A', 'B'\) in `ResNetCIFAR`"
    ):
        kv.models.ResNetCIFAR(shortcut="C")
    with pytest.raises(ValueError, match="`stride_on` must be one of .* Received: '7x7'"):
        kv.models.ResNet50(stride_on="7x7")
    with pytest.raises(ValueError, match=r"`blocks` must be four numbers .* Received: \(1, 2\)"):
        kv.models.ResNet50(blocks=(1, 2))
    with pytest.raises(ValueError, match="`output_stride` must be 8, 16 or 32 in `ResNet34`"):
        kv.models.ResNet34(output_stride=4)
    with pytest.raises(ValueError, match="`alpha` must be greater than 0 in `ResNet34`"):
        kv.models.ResNet34(alpha=0)
    with pytest.raises(ValueError, match=r"`depth` must be 6n \+ 2, .* Received: 34"):
        kv.models.ResNetCIFAR(depth=34)
    with pytest.raises(TypeError, match="unexpected keyword argument 'shortcut'"):
        kv.models.PlainNet18(shortcut="A")
