"""Mixed precision in one call."""

import keras
import tensorflow as tf


def mixed_precision(enabled=True):
    """Lets the models built from now on compute in 16 bits, their weights staying in 32.

    Layers then compute in float16 on GPUs (with loss scaling, which `compile` adds) and in bfloat16
    elsewhere. The last activation should be float32, as in `kv.models`. Compiling with XLA is a
    flag of `compile` itself: `model.compile(..., jit_compile=True)`; it pays on GPUs and loses on
    CPUs.

    Args:
        enabled: if false, models built from now on compute in float32 again.

    Returns:
        The name of the policy: `"mixed_float16"`, `"mixed_bfloat16"` or `"float32"`.

    Example:

    ```python
    kv.training.mixed_precision()
    model = kv.models.LeNet5(classes=10, input_shape=(32, 32, 1))
    kv.training.mixed_precision(False)
    ```
    """
    policy = "float32"
    if enabled:
        gpus = tf.config.list_physical_devices("GPU")
        policy = "mixed_float16" if gpus else "mixed_bfloat16"
    keras.mixed_precision.set_global_policy(policy)
    return policy
