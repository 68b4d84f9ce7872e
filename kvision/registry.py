"""What kvision knows of each builder: one dict, filled by the `register` decorator."""

import dataclasses
import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping

from kvision import tasks

_entries = {}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A registered builder.

    Attributes:
        name: the builder's name, as in `kv.models.<name>`.
        builder: the function that returns a `keras.Model`.
        task: one of `kvision.tasks.names()`.
        paper: authors and title of the publication.
        url: where to read it.
        year: of publication.
        parameters: published count of trainable parameters of the default network, or `None`.
        multiply_adds: of convolutions and dense layers for one picture of the default size.
        published: figures of the publication, `{key: number}` with keys of the task's own
            `published`; those that were not checked against it are not there.
        protocol: how those figures were measured.
        levels: names of the layers that end each resolution, finest first
            (see `kv.models.feature_extractor`).
        mobile: whether the network is meant for TFLite, and so tested there.
        tiny: arguments that build a small member of the family for tests.
        twin: the entry whose tiny member is built of the same blocks, if there is one.
        skip: general checks that do not hold of this network, `{check: reason}`.
    """

    name: str
    builder: Callable
    task: str
    paper: str
    url: str
    year: int
    parameters: int | None = None
    multiply_adds: int | None = None
    published: Mapping = dataclasses.field(default_factory=dict)
    protocol: str = ""
    levels: tuple = ()
    mobile: bool = False
    tiny: Mapping = dataclasses.field(default_factory=dict)
    twin: str | None = None
    skip: Mapping = dataclasses.field(default_factory=dict)


def register(task, **facts):
    """Registers the decorated builder under its own name.

    Args:
        task: one of `kvision.tasks.names()`.
        **facts: the other fields of `Entry`.

    Raises:
        ValueError: where the task is unknown, has no such published figure, or the name is taken.

    Example:

    >>> @register("classification", paper="Jane Doe: A net", url="https://doe.org", year=2026)
    ... def DoeNet(include_top=True, weights=None): ...
    >>> _entries.pop("DoeNet").year
    2026
    """
    known = tasks.named(task).published
    if strange := set(facts.get("published", ())) - set(known):
        raise ValueError(
            f"`published` of {task} must have keys of {tuple(known)}. Received: {sorted(strange)}"
        )

    def decorate(builder):
        name = builder.__name__
        if name in _entries:
            raise ValueError(
                f"A builder is registered once, and {name!r} already is, "
                f"by {_entries[name].builder.__module__}. Give this one another name."
            )
        _entries[name] = Entry(name=name, builder=builder, task=task, **facts)
        return builder

    return decorate


def list_models(task=None):
    """Names of the registered builders, sorted.

    Args:
        task: `None` for all, or one of `kvision.tasks.names()`.

    Raises:
        ValueError: where the task is unknown.

    Example:

    >>> import kvision as kv
    >>> "MobileNetV2" in kv.list_models("classification")
    True
    """
    if task is not None:
        tasks.named(task)  # raises where there is none
    return sorted(name for name, entry in _load().items() if task in (None, entry.task))


def model_info(name):
    """What is known of a builder: an `Entry` with its paper, year, parameter count and levels.

    Raises:
        ValueError: where no such builder is registered; names the closest ones.

    Example:

    >>> import kvision as kv
    >>> kv.model_info("MobileNetV2").parameters
    3504872
    """
    entries = _load()
    if name in entries:
        return entries[name]
    folded = {key.lower(): key for key in entries}
    close = difflib.get_close_matches(str(name).lower(), folded, n=3, cutoff=0.5)
    hint = (
        f"Did you mean {' or '.join(repr(folded[key]) for key in close)}?"
        if close
        else "`kv.list_models()` names them all."
    )
    raise ValueError(f"No model is registered as {name!r}. {hint}")


def build_model(name, /, **kwargs):
    """Builds a registered model by name.

    Args:
        name: a name that `list_models` gives.
        **kwargs: arguments of that builder.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: where no such builder is registered; names the closest ones.

    Example:

    >>> import kvision as kv
    >>> kv.build_model("LeNet5", classes=10).output_shape
    (None, 10)
    """
    return model_info(name).builder(**kwargs)


def entry_of(model):
    """The entry whose network a model holds, or `None` where that cannot be told.

    A backbone is known by the names of its levels; members of a family that share them, and
    networks composed around a backbone, by the model's name.

    Args:
        model: any `keras.Model`, also one that was saved and loaded.
    """
    held = entries_of(model)
    composed = [entry for entry in _load().values() if not entry.levels]
    named = [entry for entry in (*composed, *held) if _default_name(entry) == model.name]
    return (named or held)[0] if len(held) == 1 or named else None


def entries_of(model):
    """The entries whose levels a model holds: one, or the members of a family, or none."""
    position = {layer.name: index for index, layer in enumerate(model.layers)}
    ranks = {
        name: (len(entry.levels), sum(position[level] for level in entry.levels))
        for name, entry in _load().items()
        if entry.levels and position.keys() >= set(entry.levels)
    }
    # VGG19 has all layers that end VGG16's resolutions, but ends them later.
    best = max(ranks.values(), default=None)
    return [_entries[name] for name, rank in ranks.items() if rank == best]


def _default_name(entry):
    return inspect.signature(entry.builder).parameters["name"].default


def _load():
    importlib.import_module("kvision.models")
    return _entries
