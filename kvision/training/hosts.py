"""Several hosts: who this process is, and what the hosts agree on."""

import json
import os

import tensorflow as tf


def cluster_task():
    """This process's place among several hosts, as TF_CONFIG describes it.

    Returns:
        None when TF_CONFIG is unset or names one task only, else `(kinds, kind, index)`: the kinds
        of task in the cluster, and the kind and index of this one.

    Raises:
        ValueError: if TF_CONFIG cannot be read, or has tasks that are neither worker nor chief.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
        tasks = {kind: len(hosts) for kind, hosts in config.get("cluster", {}).items()}
        kind = config.get("task", {}).get("type")
        index = int(config.get("task", {}).get("index", 0))
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(
            "TF_CONFIG must be JSON such as "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}}. '
            f"Received: {text!r}"
        ) from error
    if sum(tasks.values()) < 2:
        return None
    if not set(tasks) <= {"chief", "worker"} or not 0 <= index < tasks.get(kind, 0):
        raise ValueError(
            "The tasks of TF_CONFIG must be `worker`, with or without one `chief`, and `task` must "
            f"say which of them this process is. Received: {text!r}"
        )
    return set(tasks), kind, index


def is_chief():
    """Whether this process writes the files of a run: alone, or the first of several hosts."""
    task = cluster_task()
    if task is None:
        return True
    kinds, kind, index = task
    return kind == "chief" or ("chief" not in kinds and index == 0)


def gathered(strategy, number):
    """The `number` of every replica of every host. Hosts wait here for one another.

    Args:
        strategy: the strategy that the model trains under.
        number: an integer, this host's.

    Returns:
        A list of integers; of one integer unless there are several hosts.
    """
    if cluster_task() is None or not isinstance(
        strategy, tf.distribute.MultiWorkerMirroredStrategy
    ):
        return [number]

    @tf.function
    def on_every_replica():
        return strategy.run(lambda: tf.constant([number], tf.int64))

    return strategy.gather(on_every_replica(), axis=0).numpy().tolist()
