import pytest

import kvision as kv
from kvision import registry


def test_lists_by_task():
    assert {"LeNet5", "MobileNet", "MobileNetV2"} <= set(kv.list_models())
    assert kv.list_models("classification") == sorted(kv.list_models("classification"))
    with pytest.raises(ValueError, match="The task must be one of"):
        kv.list_models("classify")


def test_unknown_name_suggests_the_close_ones():
    with pytest.raises(ValueError, match="'mobilenetv2'.*Did you mean 'MobileNetV2'"):
        kv.build_model("mobilenetv2")
    with pytest.raises(ValueError, match="names them all"):
        kv.model_info("qqqqqq")


def test_duplicates_and_unknown_tasks_raise():
    facts = {"paper": "p", "url": "u", "year": 2000}

    def LeNet5():
        pass

    with pytest.raises(ValueError, match="'LeNet5' already is, by kvision.models"):
        registry.register("classification", **facts)(LeNet5)
    with pytest.raises(ValueError, match="The task must be one of"):
        registry.register("cooking", **facts)


def test_build_passes_arguments_on():
    model = kv.build_model("MobileNetV2", alpha=0.35, input_shape=(32, 32, 1), classes=3, name="m")
    assert (model.name, model.input_shape, model.output_shape) == (
        "m",
        (None, 32, 32, 1),
        (None, 3),
    )
