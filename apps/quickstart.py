"""From real handwritten digits to a checked phone file, in a few minutes on two CPU cores.

Paper:    Sandler et al., MobileNetV2, 2018
Command:  python apps/quickstart.py            (or: make quickstart)
Data:     scikit-learn's handwritten digits (nothing is downloaded): 1,437 to train, 360 to test on
Leaves:   saved_models/quickstart/: the model, the exported files, their proof and a model card
"""

import argparse
import sys
import time
from pathlib import Path

import kvision as kv
from kvision.quiet import quietly

RUN = Path("saved_models/quickstart")
SHAPE = (48, 48, 3)
EPOCHS = 12
BATCH = 48

argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
).parse_args()

started = time.time()
with quietly():  # only now: --help answers at once
    import keras

keras.utils.set_random_seed(1)
# Two replicas: two GPUs if there are, else two of the CPU.
strategy = kv.training.strategy(devices=2)

# Data: 90 % of the training images to learn from, 10 % to watch, the test images for the end.
digits, info = kv.data.load("digits", with_info=True)
train = kv.data.load("digits", "train[:90%]")
watch = kv.data.load("digits", "train[90%:]")
augment = [keras.layers.RandomTranslation(0.1, 0.1), keras.layers.RandomRotation(0.03)]
released = (RUN / "card.json").exists()  # then it begins anew, else where it was killed
first_epoch = 0 if released else kv.training.completed_epochs(RUN)
varied = {"training": True, "augment": augment, "seed": 1, "first_epoch": first_epoch}
train_batches = kv.data.batches(train, SHAPE, BATCH, **varied)
watch_batches = kv.data.batches(watch, SHAPE, BATCH, training=False)
test_batches = kv.data.batches(digits["test"], SHAPE, BATCH, training=False)

# Model: built, compiled and fitted as any other Keras model.
with strategy.scope():
    model = kv.models.MobileNetV2(input_shape=SHAPE, classes=10)
    steps = EPOCHS * len(train_batches)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
if released or not kv.training.is_finished(RUN):
    model.fit(
        train_batches,
        validation_data=watch_batches,
        epochs=EPOCHS,
        callbacks=kv.training.callbacks(RUN, resume=not released),
        shuffle=False,  # the data comes shuffled
        verbose=2,
    )

# Proof: score it, export it, read every file back and compare, write the card.
card = kv.runs.release(
    model,
    RUN,
    test=test_batches,
    calibration=kv.data.batches(train, SHAPE, BATCH, training=False),
    class_names=info.class_names,
    data="scikit-learn's handwritten digits (8x8, grey), enlarged to 48x48: 1,437 images to train "
    "on (a tenth of them to choose the best epoch), 360 to test on.",
    command="python apps/quickstart.py",
)
int8 = card["files"]["model_int8.tflite"]["check"]
verdict = "PASS" if card["passed"] else "FAIL"
print(f"\nTest accuracy {card['metrics']['accuracy']:.2%}; the int8 file {int8['metric_file']:.2%}")
print(f"{verdict} after {time.time() - started:.0f} s. Read {RUN}/README.md")
sys.exit(0 if card["passed"] else 1)
