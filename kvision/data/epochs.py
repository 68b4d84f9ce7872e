"""Epochs that depend on nothing but the seed and their number, and augmentation in them."""

import itertools

import numpy as np
import tensorflow as tf

from kvision.data.features.object_rows import cut

_CHUNK = 256
# Seeds are (first + n, place). Every epoch has its own range of `first`, every step a part of it.
_SEEDS_PER_STEP = 64
_SEEDS_PER_EPOCH = 64 * _SEEDS_PER_STEP


def epochs(examples, steps, buffer, seed, first_epoch, repeat):
    """One shuffled epoch after the other, with the random numbers for augmentation.

    Args:
        examples: the `tf.data.Dataset` of one pass.
        steps: the augmentation steps to draw for.
        buffer: how many examples to shuffle among; 0 keeps the order.
        seed: whole number from which everything follows.
        first_epoch: number of the first epoch.
        repeat: whether one iterator runs through all epochs, or each through one.

    Returns:
        A `tf.data.Dataset` of (example, draws), the draws a tuple with one entry for each step.
    """
    words = np.random.SeedSequence(seed).generate_state(2)
    order_seed, draw_seed = (int(word) % 2**31 for word in words)

    def one_epoch(epoch):
        # The order must not depend on the global seed too, or a resumed run would need the same.
        tf.compat.v1.set_random_seed(order_seed)
        passed = examples
        if buffer:
            passed = examples.shuffle(buffer, epoch + 1, reshuffle_each_iteration=False)
        if not steps:
            return passed.map(lambda example: (example, ()))
        first = tf.math.floormod(draw_seed + epoch * _SEEDS_PER_EPOCH, 2**31 - _SEEDS_PER_EPOCH)
        return tf.data.Dataset.zip((passed, _draws(steps, tf.cast(first, tf.int32))))

    if repeat:
        return tf.data.Dataset.counter(first_epoch).flat_map(one_epoch)
    passes = itertools.count(first_epoch)

    def next_epoch(_):
        # Every new iterator over the batches is the next epoch.
        epoch = tf.numpy_function(lambda: np.int64(next(passes)), [], tf.int64)
        return tf.ensure_shape(epoch, ())

    return tf.data.Dataset.range(1).map(next_epoch).flat_map(one_epoch)


def augment(dataset, prepare, steps, parts):
    """Maps `prepare` and then the augmentation steps over (example, draws) pairs.

    Steps that keep a state of their own get a map of their own, with one thread; all others are
    done for one example at a stretch while it is in the processor's cache.

    Args:
        dataset: what `epochs` returns.
        prepare: function that makes an example of what `dataset` holds, or None.
        steps: the steps that `epochs` drew for.
        parts: dict of feature name to its module; pictures first.

    Returns:
        A `tf.data.Dataset` of examples.
    """
    stages, first = [], 0
    if steps and hasattr(steps[0], "mix"):
        dataset = steps[0].mix(dataset.map(_stage([], prepare, False, parts), tf.data.AUTOTUNE))
        prepare, first = None, 1
    for number, step in enumerate(steps[first:], start=first):
        if not stages or step.in_order or stages[-1][-1][1].in_order:
            stages.append([])
        stages[-1].append((number, step))
    if not stages or (prepare is not None and stages[0][0][1].in_order):
        stages.insert(0, [])
    for position, stage in enumerate(stages):
        in_order = any(step.in_order for _, step in stage)
        dataset = dataset.map(
            _stage(stage, prepare if position == 0 else None, position == len(stages) - 1, parts),
            None if in_order else tf.data.AUTOTUNE,
        )
    return dataset


def _draws(steps, first):
    """The random numbers of one epoch, drawn for many examples at once: per example it is slow."""

    def chunk(place):
        return tuple(
            step.draw(tf.stack([first + number * _SEEDS_PER_STEP, place]), _CHUNK)
            for number, step in enumerate(steps)
        )

    places = tf.data.Dataset.range(2**31 // _CHUNK, output_type=tf.int32)
    return places.map(chunk).unbatch()


def _stage(stage, prepare, last, parts):
    def work(example, draws):
        if prepare is not None:
            example = prepare(example)
        if stage:
            example = _apply(stage, example, draws, parts)
        return example if last else (example, draws)

    return work


def _apply(stage, example, draws, parts):
    changing = {}
    width = next(example[name] for name in parts).shape[1]
    for name, part in parts.items():
        if hasattr(part, "moving"):
            changing |= part.moving(name, example[name], width)
        elif hasattr(part, "IS_PICTURE") or hasattr(part, "FILL"):
            changing[name] = example[name]
    following = [name for name, part in parts.items() if hasattr(part, "follow")]
    if following:
        changing["matrix"] = tf.eye(3)
    for number, step in stage:
        changing = step(changing, draws[number])
        if "boxes" in changing:
            changing = cut(changing)
    example = dict(example)
    for name, part in parts.items():
        if hasattr(part, "moved"):
            example[name] = part.moved(name, example[name], changing)
        elif name in changing:
            example[name] = changing[name]
    for name in following:
        example[name] = parts[name].follow(example[name], changing["matrix"])
    return example
