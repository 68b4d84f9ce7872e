"""Networks of the registry as tests look at them: small, and built once a process."""

import functools
import importlib
from contextlib import contextmanager

import keras
import numpy as np

import kvision as kv
from kvision.zoo.skeletons import without_weights


@functools.cache
def published(name):
    """The network of the publication without weights."""
    return without_weights(kv.model_info(name).builder)


@functools.cache
def skeleton(name):
    """The tiny member of a family without weights."""
    return bare(name)


def bare(name, **options):
    """A tiny member with other options, without weights."""
    entry = kv.model_info(name)
    return without_weights(lambda: entry.builder(**{**entry.tiny, **options}))


def trainable_count(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def run(model, weights, inputs):
    """What a model without weights gives with these: a list of arrays."""
    given = dict(zip(map(id, model.weights), weights, strict=True))
    state = [
        [given.get(id(v), np.zeros(v.shape, v.dtype)) for v in variables]  # or a seed's state
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]
    outputs, _ = model.stateless_call(*state, inputs)
    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


@contextmanager
def computing_in(policy):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


class Network:
    """A tiny member of a family, with what the module of its task makes for it.

    Attributes:
        name: of its entry in the registry.
        entry: that entry.
        task: the module of its task, `tests/models/tasks/<task>.py`.
    """

    def __init__(self, name):
        self.name = name
        self.entry = kv.model_info(name)
        self.task = importlib.import_module(f"tasks.{self.entry.task}")

    def build(self, **options):
        return self.entry.builder(**{**self.entry.tiny, **options})

    def bare(self, **options):
        return bare(self.name, **options)

    @functools.cached_property
    def model(self):
        """The network, made to give different things to different pictures; not to be changed."""
        return self.task.awaken(self.build(**getattr(self.task, "OPTIONS", {})))

    @functools.cached_property
    def weights(self):
        return self.model.get_weights()

    @functools.cached_property
    def inputs(self):
        """Three examples of what the model takes; not to be changed."""
        return self.task.inputs(self.model, 3)

    @functools.cached_property
    def outputs(self):
        """What the model gives of them: a list of arrays."""
        return self.results(self.model, self.inputs)

    def results(self, model, inputs):
        """What is compared of the outputs: a list of arrays."""
        graph = keras.Model(model.input, self.task.compared(model))
        outputs = keras.tree.flatten(graph(inputs, training=False))
        return [np.asarray(output) for output in outputs]

    def results_without_weights(self, model):
        """The same of a model without weights, which is given this network's."""
        weights = dict(zip(map(id, model.weights), self.weights, strict=True))
        graph = keras.Model(model.input, self.task.compared(model))
        return run(graph, [weights[id(weight)] for weight in graph.weights], self.inputs)

    @functools.cached_property
    def lesson(self):
        """What came of training a fresh member: a `tasks.Lesson`; its model stays as it is."""
        keras.utils.set_random_seed(0)
        return self.task.learn(self.build())
