import inspect

import keras
import pytest

import kvision as kv
from kvision.models.documented import documented, variant_of


def family(plan, classes=10, *, alpha=1.0, depth=3, name=None):
    """A family.

    Args:
        depth: how deep, in layers
            of paper.

    Differs from the paper: in all respects.

    Reference:
        Doe, 2026
    """
    return keras.Sequential([keras.Input((plan,)), keras.layers.Dense(classes)], name=name)


@variant_of(family, without=("alpha",))
def Doe18(**arguments):
    """Eighteen.

    Example:

    >>> 1 + 1
    2
    """
    return family(18, **arguments)


def test_a_variant_has_the_familys_arguments():
    assert str(inspect.signature(Doe18)) == "(classes=10, *, depth=3, name='doe18')"
    assert Doe18(4).name == "doe18"
    assert Doe18(4, name="mine").name == "mine"
    assert Doe18(classes=4).input_shape == (None, 18)
    with pytest.raises(TypeError, match="alpha"):
        Doe18(alpha=2)


def test_the_docstring_is_complete_and_in_order():
    text = Doe18.__doc__
    places = [
        text.index(part)
        for part in (
            "Eighteen.",
            "Args:\n    classes: number of classes.",
            "\n    depth: how deep, in layers\n        of paper.",
            "\n    name: name of the model.",
            "Returns:\n    A `keras.Model`",
            "Raises:",
            "Differs from the paper: in all",
            "Reference:\n    Doe, 2026",
            "Example:\n\n>>> 1 + 1",
        )
    ]
    assert places == sorted(places)
    assert "alpha" not in text
    assert max(map(len, text.split("\n"))) <= 100


def test_what_a_builder_says_itself_stays():
    @documented
    def net(classes=3):
        """A net.

        Args:
            classes: of animals.

        Returns:
            Nothing.
        """

    assert "classes: of animals." in net.__doc__
    assert "Returns:\n    Nothing." in net.__doc__


def test_an_argument_without_a_word_is_an_error():
    with pytest.raises(ValueError, match=r"must describe each argument.*\['mystery'\]"):

        @documented
        def net(mystery=3):
            """A net."""


def test_signatures_are_visible():
    parameters = inspect.signature(kv.models.ResNet50).parameters
    assert parameters["name"].default == "resnet50"
    assert parameters["shortcut"].default == "B"
    assert "stride_on" not in inspect.signature(kv.models.ResNet18).parameters
