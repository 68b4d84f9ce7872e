"""Counts of the publications and of the authors' code, of full-size networks without weights."""

import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv

# Trainable parameters, moving statistics, millions of multiply-adds.
PUBLISHED = [
    ("AlexNet", {}, 60_965_224, 0, 724.4),
    ("AlexNet", {"groups": 1}, 62_378_344, 0, None),
    ("VGG11", {}, 132_863_336, 0, 7_609),
    ("VGG11LRN", {}, 132_863_336, 0, 7_609),
    ("VGG13", {}, 133_047_848, 0, 11_309),
    ("VGG16C", {}, 133_638_952, 0, 11_771),
    ("VGG16", {}, 138_357_544, 0, 15_470),
    ("VGG16", {"include_top": False}, 14_714_688, 0, None),
    ("VGG19", {}, 143_667_240, 0, 19_632),
    ("GoogLeNet", {}, 6_998_552, 0, 1_583),
    ("GoogLeNet", {"auxiliary_heads": True}, 13_378_280, 0, None),
    ("InceptionV2", {}, 11_285_224, 20_032, 2_033),
    ("InceptionV3", {}, 23_834_568, 34_432, 5_713),
    ("InceptionV3", {"auxiliary_head": True}, 27_161_264, None, None),
    ("InceptionV4", {}, 42_679_816, 63_168, 12_254),
    ("InceptionV4", {"classes": 1001}, 42_681_353, 63_168, 12_254),
    ("PlainNet18", {}, 11_515_688, None, None),
    ("PlainNet34", {}, 21_623_848, None, None),
    ("ResNet18", {"shortcut": "A"}, 11_515_688, None, None),
    ("ResNet18", {}, 11_689_512, 9_600, 1_814),
    ("ResNet18", {"shortcut": "C"}, 12_043_816, None, None),
    ("ResNet34", {"shortcut": "A"}, 21_623_848, None, None),
    ("ResNet34", {}, 21_797_672, 17_024, 3_664),
    ("ResNet34", {"shortcut": "C"}, 22_716_840, None, None),
    ("ResNet50", {}, 25_557_032, 53_120, 3_858),
    ("ResNet101", {}, 44_549_160, 105_344, 7_570),
    ("ResNet152", {}, 60_192_808, 151_424, 11_282),
    ("ResNet50", {"stride_on": "3x3"}, 25_557_032, 53_120, 4_089),
    ("ResNet101", {"stride_on": "3x3"}, 44_549_160, 105_344, 7_801),
    ("ResNet152", {"stride_on": "3x3"}, 60_192_808, 151_424, 11_514),
    ("ResNet50", {"shortcut": "C"}, 40_128_552, None, None),
    ("ResNetCIFAR", {"depth": 20}, 269_722, None, 40.6),
    ("ResNetCIFAR", {"depth": 32}, 464_154, None, 68.9),
    ("ResNetCIFAR", {"depth": 44}, 658_586, None, 97.2),
    ("ResNetCIFAR", {"depth": 56}, 853_018, None, 125.5),
    ("ResNetCIFAR", {"depth": 110}, 1_727_962, None, 252.9),
    ("ResNetCIFAR", {"depth": 20, "shortcut": "B"}, 269_722 + 2_752, None, None),
    ("PlainNetCIFAR", {"depth": 20}, 269_722, None, 40.6),
    ("PlainNetCIFAR", {"depth": 110}, 1_727_962, None, 252.9),
    ("MobileNet", {}, 4_231_976, 21_888, 568.7),
    ("MobileNet", {"alpha": 0.75}, 2_585_560, None, None),
    ("MobileNet", {"alpha": 0.5}, 1_331_592, None, None),
    ("MobileNet", {"alpha": 0.25}, 470_072, None, None),
    # Table 7 rounds to a million.
    ("MobileNet", {"input_shape": (192, 192, 3)}, 4_231_976, None, 418),
    ("MobileNet", {"input_shape": (160, 160, 3)}, 4_231_976, None, 290),
    ("MobileNet", {"input_shape": (128, 128, 3)}, 4_231_976, None, 186),
    ("MobileNetV2", {}, 3_504_872, 34_112, 300.8),
    ("MobileNetV2", {"alpha": 1.4}, 6_108_776, None, 582),
    ("MobileNetV2", {"alpha": 1.3}, 5_386_792, None, None),
    ("MobileNetV2", {"alpha": 0.75}, 2_636_424, None, None),
    ("MobileNetV2", {"alpha": 0.5}, 1_968_680, None, None),
    ("MobileNetV2", {"alpha": 0.35}, 1_677_128, None, None),
]


@pytest.mark.parametrize(
    ("name", "options", "parameters", "statistics", "millions"),
    PUBLISHED,
    ids=[f"{name}-{'-'.join(map(str, options.values()))}" for name, options, *_ in PUBLISHED],
)
def test_counts(name, options, parameters, statistics, millions):
    model = without_weights(lambda: kv.build_model(name, **options))
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == parameters
    if statistics is not None:
        assert model.count_params() - trainable == statistics
    if millions is not None:
        counted = kv.models.multiply_adds(model) / 1e6
        assert counted == pytest.approx(millions, abs=0.7)


def test_no_network_is_left_out():
    assert {name for name, *_ in PUBLISHED} | {"LeNet5"} == set(kv.list_models("classification"))


def test_multiply_adds_need_a_size_and_look_inside_nested_models():
    with pytest.raises(ValueError, match=r"must be known .* Received: \(None, None, None, 3\)"):
        kv.models.multiply_adds(kv.models.ResNetCIFAR(input_shape=(None, None, 3)))
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    outer = keras.Sequential([keras.Input((8, 8, 3)), inner, keras.layers.Dense(5)])
    assert kv.models.multiply_adds(outer) == 36 * (3 * 9 * 4 + 4 * 5)
