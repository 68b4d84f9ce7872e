"""What TensorFlow tells of the data in pages, told in a sentence."""

import re

import keras
import tensorflow as tf

_LABEL = re.compile(r"label value of (-?\d+) which is outside the valid range of \[0, (\d+)\)")
_OURS = re.compile(r"A batch must hold at least one sample for each of .*? drop_remainder=True\.")


class InOneSentence(keras.callbacks.Callback):
    """Makes `fit` raise a ValueError of one sentence where the data does not fit the model.

    That is: a label beyond the classes of the loss, a batch too small for the replicas. TensorFlow
    raises errors of pages there, which it alone can raise where a step has been compiled. (On GPUs
    it makes the loss NaN instead.)
    """

    def on_train_begin(self, logs=None):
        self.model.train_function = _Told(self.model.train_function)

    def on_test_begin(self, logs=None):
        self.model.test_function = _Told(self.model.test_function)


class _Told:
    """A function of Keras's that runs a step, with our errors."""

    def __init__(self, function):
        self.function = function.function if isinstance(function, _Told) else function

    def __call__(self, *args):
        try:
            return self.function(*args)
        except tf.errors.InvalidArgumentError as error:
            sentence = in_one_sentence(str(error))
            if sentence is None:
                raise
            raise ValueError(sentence) from None


def in_one_sentence(text):
    """What a text of TensorFlow's means, or None where that is not known."""
    if label := _LABEL.search(text):
        value, classes = map(int, label.groups())
        return (
            f"Labels must be whole numbers from 0 to {classes - 1}, since the model tells "
            f"{classes} classes apart. Received: the label {value}. Build the model with as many "
            "classes as the data has, or count the labels from 0."
        )
    ours = _OURS.search(text)
    return ours and ours.group()
