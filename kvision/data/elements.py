"""The elements of a dataset: what a single example holds, and what `fit` takes of a batch."""

import dataclasses

import tensorflow as tf

from kvision import tasks
from kvision.data.features import image


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What of the examples is wanted.

    Attributes:
        spec: the specification of the wanted features, as the examples have them.
        parts: dict of feature name to its module; inputs first.
        inputs: the features that the network is given.
        targets: the features that are the truth.
        alone: whether one task is meant, so that `fit` gets its inputs and its target; otherwise it
            gets a dict of everything.
        masks: whether the masks of the objects are wanted.
    """

    spec: dict
    parts: dict
    inputs: tuple
    targets: tuple
    alone: bool
    masks: bool

    @property
    def target(self):
        """The module of the one target, or None."""
        return self.parts[self.targets[0]] if self.alone else None

    @property
    def pictures(self):
        """The features that are pictures."""
        return tuple(name for name, part in self.parts.items() if hasattr(part, "IS_PICTURE"))

    def pixel_bytes(self, channels):
        """What a pixel of all of an example takes in memory."""
        maps = sum(getattr(part, "PIXEL_BYTES", 0) for part in self.parts.values())
        masks = self.target.MASK_BYTES if self.masks else 0
        return channels * len(self.pictures) + maps + masks


def known_tasks():
    """All tasks, in the order in which they are listed."""
    return [tasks.named(name) for name in tasks.names()]


def find_wanted(spec, target=None, task=None, masks=False):
    """What of the examples is wanted.

    Args:
        spec: the `element_spec` of a dataset of single examples.
        target: None, or the target of a task.
        task: None, or a `Task` or its name. Without either, all tasks that fit are meant.
        masks: whether the masks of the objects are wanted.

    Returns:
        A `Wanted`.

    Raises:
        ValueError: if these are no single examples, or lack the target or the masks.
    """
    task = tasks.named(task) if isinstance(task, str) else task
    features = _named(spec, _possible(target, task)) if isinstance(spec, tuple) else spec
    if not isinstance(features, dict):
        raise _strange(spec)
    fitting = _fitting(features, target, task)
    inputs = fitting[0].inputs if fitting else ("image",)
    if not set(inputs) <= set(features):
        raise _strange(spec)
    parts = {name: _input_part(name) for name in inputs}
    targets = tuple(fit.target for fit in fitting)
    parts |= {name: tasks.part("data.features", name) for name in targets}
    for weight in {getattr(parts[name], "WEIGHT", None) for name in targets} & set(features):
        parts[weight] = tasks.part("data.features", weight)
    for name, part in parts.items():
        part.check(name, features[name])
    if masks and not (len(targets) == 1 and hasattr(parts[targets[0]], "with_masks")):
        raise ValueError(
            "`masks=True` must go with `target='objects'`, or another that has masks of its own. "
            f"Received: target={target!r}, examples with {sorted(features)}"
        )
    if masks:
        parts[targets[0]].with_masks(features)
    chosen = {name: features[name] for name in parts}
    return Wanted(chosen, parts, inputs, targets, len(targets) == 1, masks)


def as_example(element, wanted):
    """One example of any source as a dict of the wanted features, in the dtypes used here.

    Where the target wants that, they come with the image's `size`.
    """
    features = element[0]
    if len(element) > 1:
        first, other = element
        features = {wanted.inputs[0]: first, **dict.fromkeys(wanted.targets, other)}
    result = {}
    for name, part in wanted.parts.items():
        if hasattr(part, "read"):
            result[name] = part.read(features, wanted.alone, wanted.masks)
        else:
            result[name] = tf.cast(features[name], part.DTYPE)
    if hasattr(wanted.target, "WANTS_SIZE"):
        result["size"] = tf.shape(result[wanted.pictures[0]])[:2]
    return result


def as_fit_takes_it(batch, wanted):
    """A batch as inputs, (inputs, target), (inputs, target, weights), or a dict of everything."""

    def ready(name):
        part = wanted.parts[name]
        return part.for_fit(batch[name], batch) if hasattr(part, "for_fit") else batch[name]

    inputs = {name: ready(name) for name in wanted.inputs}
    if len(wanted.targets) > 1:
        return {**batch, **inputs}
    if len(inputs) == 1:
        (inputs,) = inputs.values()
    if not wanted.targets:
        return inputs
    weight = getattr(wanted.target, "WEIGHT", None)
    truth = ready(wanted.targets[0])
    return (inputs, truth, batch[weight]) if weight in batch else (inputs, truth)


def _possible(target, task):
    """The tasks that may be meant."""
    if task is not None:
        if target not in (None, task.target):
            raise ValueError(
                f"`target` must be that of `task`, {task.target!r}, or None. Received: {target!r}"
            )
        return [task]
    known = known_tasks()
    names = tuple(dict.fromkeys(one.target for one in known))
    if target is not None and target not in names:
        raise ValueError(f"`target` must be None or one of {names}. Received: {target!r}")
    return [one for one in known if target in (None, one.target)]


def _fitting(features, target, task):
    """The tasks that are meant: no two of the same target, and all of the same inputs."""
    possible = _possible(target, task)
    fitting = {
        (one.inputs, one.target): one
        for one in possible
        if {*one.inputs, one.target} <= set(features)
    }
    if not fitting and (task or target):
        needed = " or ".join(f"{one.inputs} and {one.target!r}" for one in possible)
        raise ValueError(
            f"The examples must have the target '{possible[0].target}': {needed}. Received "
            f"examples with: {sorted(features)}. Choose another `target`, or None for all that is "
            "there."
        )
    if len({inputs for inputs, _ in fitting}) > 1:
        raise ValueError(
            f"The examples fit the tasks {[one.name for one in fitting.values()]}, whose inputs "
            "differ. Pass `task=` to say which is meant."
        )
    return list(fitting.values())


def _named(element, possible):
    """The features of a pair: the input of a task, and what may be its target."""
    if len(element) != 2 or not all(isinstance(spec, tf.TensorSpec) for spec in element):
        return None
    for task in possible:
        part = tasks.part("data.features", task.target)
        if len(task.inputs) == 1 and (
            len(possible) == 1 or (hasattr(part, "beside") and part.beside(element[1]))
        ):
            return {task.inputs[0]: element[0], task.target: element[1]}
    return None


def _input_part(name):
    try:
        return tasks.part("data.features", name)
    except ValueError:
        return image


def _strange(spec):
    return ValueError(
        "`dataset` must yield single examples: dicts with 'image', as from kv.data.load, or "
        f"(image, label) or (image, mask) pairs. Received: {spec}"
    )
