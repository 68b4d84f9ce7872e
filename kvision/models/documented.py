"""What the docstrings of all classification builders share, written once."""

import functools
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import keras

ARGUMENTS = {
    "include_top": "whether to end in class scores, or in the last features.",
    "weights": '`None`; `"imagenet"` where keras.applications has the network (its file is '
    "downloaded on first use); or the path of a `.keras` file, a run folder or a `.weights.h5` "
    "file.",
    "input_shape": "`(height, width, channels)`, any size that the arithmetic allows.",
    "pooling": '`None`, `"avg"` or `"max"`, for `include_top=False`.',
    "classes": "number of classes.",
    "classifier_activation": '`"softmax"`, or `None` for logits.',
    "alpha": "width multiplier: the share of the paper's filters and units in every layer.",
    "dropout": "fraction dropped in training.",
    "batch_norm_momentum": "of the moving statistics. 0.9 follows within tens of steps; long "
    "trainings may use 0.99.",
    "include_preprocessing": "whether pixels 0..255 go in and the model zero-centres them itself.",
    "name": "name of the model.",
}
SECTIONS = {
    "Args": "",
    "Returns": "    A `keras.Model` from pixels `(batch, height, width, channels)` to "
    "`(batch, classes)`.",
    "Raises": "    ValueError: where an option is out of range or the input too small.",
    "Differs from the paper": "",
    "Reference": "",
    "Example": "",
}
HEADING = re.compile(rf"^({'|'.join(SECTIONS)}):[ ]?", re.MULTILINE)
PARAMETER = re.compile(r"^    (\w+): ", re.MULTILINE)

P = ParamSpec("P")


def documented(builder):
    """Completes a builder's docstring: every argument, `Returns` and `Raises`.

    What the docstring says itself stays; the rest is said as everywhere else.
    """
    builder.__doc__ = _complete(builder.__doc__, "", inspect.signature(builder))
    return builder


def variant_of(
    general: Callable[Concatenate[Any, P], keras.Model], without=()
) -> Callable[[Callable], Callable[P, keras.Model]]:
    """Decorates a thin variant with the arguments and the docstring of its family's builder.

    Args:
        general: the family's builder. Its first parameter is what the variant fills in; `name`
            has the default `None`, which becomes the variant's name in lower case.
        without: names of parameters that the variant does not have.

    Returns:
        A decorator for a function of keyword arguments. The result takes them by position too.
    """
    rest = [
        parameter
        for parameter in list(inspect.signature(general).parameters.values())[1:]
        if parameter.name not in without
    ]

    def decorate(variant):
        title = variant.__name__.lower()
        signature = inspect.Signature(
            [p.replace(default=title) if p.name == "name" else p for p in rest]
        )

        @functools.wraps(variant)
        def builder(*args, **kwargs):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return variant(**bound.arguments)

        builder.__signature__ = signature
        builder.__doc__ = _complete(variant.__doc__, general.__doc__, signature)
        return builder

    return decorate


def _complete(text, family, signature):
    own, inherited = _sections(text), _sections(family)
    described = {**_wrapped(ARGUMENTS), **_arguments(inherited), **_arguments(own)}
    missing = [name for name in signature.parameters if name not in described]
    if missing:
        raise ValueError(f"A builder must describe each argument. It does not: {missing}")
    lines = [f"    {name}: {described[name]}" for name in signature.parameters]
    parts = [own[""].strip()]
    for heading, common in SECTIONS.items():
        body = own.get(heading) or inherited.get(heading) or common
        body = "\n".join(lines) if heading == "Args" else body.rstrip()
        if body:
            start = {"Differs from the paper": " ", "Example": "\n\n"}.get(heading, "\n")
            parts.append(f"{heading}:{start}{body}")
    return "\n\n".join(parts) + "\n"


def _wrapped(arguments):
    def wrap(name, text):
        lines = textwrap.wrap(f"    {name}: {text}", 99, subsequent_indent=" " * 8)
        return "\n".join(lines).removeprefix(f"    {name}: ")

    return {name: wrap(name, text) for name, text in arguments.items()}


def _sections(text):
    """`{heading: body}` of a docstring; what comes before any heading is under `""`."""
    head, *rest = HEADING.split(inspect.cleandoc(text or ""))
    bodies = {name: body.strip("\n") for name, body in zip(rest[::2], rest[1::2], strict=True)}
    return {"": head, **bodies}


def _arguments(sections):
    _, *rest = PARAMETER.split(sections.get("Args", ""))
    return {name: text.rstrip() for name, text in zip(rest[::2], rest[1::2], strict=True)}
