"""Networks of full size that cost nothing: their shapes are known, their weights are nowhere."""

from concurrent.futures import ThreadPoolExecutor

import keras


def without_weights(build, *arguments, **options):
    """Returns what a function builds, without memory for weights.

    Keras keeps a list of the weights that wait for their values and gives all of them values when
    it next calls any model without state: a few networks of full size then take gigabytes. The
    list is one of a thread, and so each skeleton has a thread to itself.

    Args:
        build: a function that returns models or layers, such as `kv.models.VGG16`.
        *arguments: what it is given.
        **options: what it is given by name.

    Returns:
        What `build` returns.

    Example:

    ```python
    from kvision.zoo.skeletons import without_weights

    print(without_weights(kv.models.VGG19).count_params())
    ```
    """
    policy = keras.config.dtype_policy()

    def alone():
        keras.config.set_dtype_policy(policy)
        with keras.StatelessScope(initialize_variables=False):
            return build(*arguments, **options)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(alone).result()
