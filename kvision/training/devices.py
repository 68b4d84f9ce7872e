"""`strategy`: on which devices a model trains."""

import functools
import re

import tensorflow as tf

from kvision.training.hosts import cluster_task
from kvision.training.mirrored import EvenMirroredStrategy
from kvision.training.multi_worker import EvenMultiWorkerStrategy


def strategy(devices=None):
    """The `tf.distribute` strategy for the devices at hand.

    Call it before anything else uses TensorFlow, then build and compile the model in its scope.
    `fit`, `evaluate` and `predict` are called as ever. A batch is the global batch: each replica
    gets an equal share.

    Args:
        devices: where to train.
            `None`: every host of `TF_CONFIG` if that is set, else every GPU of this machine if it
            has any, else TensorFlow's default (the CPU as one device).
            An integer: that many GPUs if this machine has them, else that many virtual CPU
            devices, which try out distributed training on one machine.
            A list of names (`["GPU:0", "GPU:2"]`, `["/cpu:0", "CPU:1"]`): those devices.

    Returns:
        A `tf.distribute.Strategy`: `tf.distribute.MultiWorkerMirroredStrategy` on several hosts,
        `tf.distribute.MirroredStrategy` on named, counted or GPU devices, else the default one.

    Raises:
        ValueError: if a device does not exist, TensorFlow already runs with fewer virtual CPUs than
            asked for, or `TF_CONFIG` cannot be read or comes with `devices`.

    Example:

    ```python
    strategy = kv.training.strategy()
    with strategy.scope():
        model = kv.models.LeNet5(classes=10, input_shape=(32, 32, 1))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    ```
    """
    if cluster_task() is not None:
        if devices is not None:
            raise ValueError(
                "`devices` must be None when TF_CONFIG names several hosts: each host uses all its "
                f"GPUs, or its CPU. Received: devices={devices!r}. Leave `devices` out, or unset "
                "TF_CONFIG to train on this machine alone."
            )
        return EvenMultiWorkerStrategy()
    gpus = tf.config.list_physical_devices("GPU")
    if devices is None:
        if not gpus:
            return tf.distribute.get_strategy()
        devices = len(gpus)
    return _mirrored(tuple(_device_names(devices, len(gpus))))


@functools.cache
def _mirrored(names):
    """One strategy for the same devices: two of them in a process disturb each other's NCCL."""
    return EvenMirroredStrategy(list(names))


def _device_names(devices, gpus):
    """Full names of `devices` ("/device:GPU:0"), which exist when this returns."""
    if isinstance(devices, int) and not isinstance(devices, bool):
        if devices < 1:
            raise ValueError(f"`devices` must be 1 or more. Received: devices={devices}")
        kind = "GPU" if gpus >= devices else "CPU"
        pairs = [(kind, index) for index in range(devices)]
    elif isinstance(devices, (list, tuple)) and devices:
        pairs = [_kind_and_index(name) for name in devices]
    else:
        raise ValueError(
            "`devices` must be None, a number of devices or a list of names like 'GPU:0'. "
            f"Received: devices={devices!r}"
        )
    if len(set(pairs)) < len(pairs):
        raise ValueError(f"`devices` must name each device once. Received: devices={devices!r}")
    cpus = 1 + max((index for kind, index in pairs if kind == "CPU"), default=-1)
    if cpus:
        _ensure_virtual_cpus(cpus)
    existing = {device.name.split("device:")[1] for device in tf.config.list_logical_devices()}
    names = [f"{kind}:{index}" for kind, index in pairs]
    missing = [name for name in names if name not in existing]
    if missing:
        raise ValueError(
            f"`devices` must name devices of this machine. Received: {devices!r}; there is no "
            f"{', '.join(missing)} among {', '.join(sorted(existing))}."
        )
    return [f"/device:{name}" for name in names]


def _kind_and_index(name):
    match = re.fullmatch(r"/?(?:device:)?(cpu|gpu):(\d+)", str(name).strip(), re.IGNORECASE)
    if match is None:
        raise ValueError(
            f"The names in `devices` must look like 'GPU:0' or '/cpu:1'. Received: {name!r}"
        )
    return match.group(1).upper(), int(match.group(2))


def _ensure_virtual_cpus(count):
    """Gives TensorFlow at least `count` virtual CPU devices, or says why it cannot."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    configured = tf.config.get_logical_device_configuration(cpu) or []
    if len(configured) >= count:
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        )
    except RuntimeError as error:
        present = len(tf.config.list_logical_devices("CPU"))
        if present >= count:
            return
        raise ValueError(
            f"TensorFlow already runs with {present} virtual CPU device(s), too few for the "
            f"{count} asked for. Call kv.training.strategy before anything else uses TensorFlow, "
            "at the top of the script."
        ) from error
