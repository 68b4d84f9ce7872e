"""Plain and residual networks of two depths, trained alike: does depth hurt the training itself?

Paper:    He, Zhang, Ren, Sun, Deep residual learning for image recognition, 2015, Figure 6
Command:  python apps/degradation_experiment.py   (--smoke: the same in seconds, to see it run)
Hardware: two CPU cores
Minutes:  about 30, alone (44 of CPU time)
Data:     scikit-learn's handwritten digits (nothing is downloaded), enlarged to 16x16 and moved,
          turned and stretched at random: 1,437 to train, 360 to test on, each in four versions an
          epoch; those to train on are never the same twice
Leaves:   saved_models/degradation_experiment/: results.json, degradation.png and a folder
          for each network

A killed run goes on when the same command is started again.
"""

import argparse
import csv
import json
import math
import time
from pathlib import Path

import kvision as kv
from kvision.quiet import quietly

NETWORKS = {"plain": "PlainNetCIFAR", "residual": "ResNetCIFAR"}
SHAPE = (16, 16, 1)
BATCH = 128

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
add = parser.add_argument
add("--run", type=Path, default="saved_models/degradation_experiment", help="the folder it leaves")
add("--depths", type=int, nargs="+", default=[20, 56], help="layers, 6n + 2 (default 20 56)")
add("--epochs", type=int, default=48)
add("--learning-rate", type=float, default=0.1, help="for the first half (default 0.1)")
add("--smoke", action="store_true", help="two small depths, two epochs, few digits")
args = parser.parse_args()

with quietly():  # only now: --help answers at once
    import keras
if args.smoke:
    args.depths, args.epochs = [8, 14], 2
versions, share = (1, "[:128]") if args.smoke else (4, "")

# Data: the varied digits of the tests and of the last measurement are the same for all networks.
augment = [
    keras.layers.RandomTranslation(0.15, 0.15),
    keras.layers.RandomRotation(0.1),
    keras.layers.RandomZoom((-0.25, 0.25), (-0.25, 0.25)),
]
varied = {"image_size": SHAPE, "batch_size": BATCH, "training": True, "augment": augment}
train_digits, test_digits = kv.data.load("digits", [f"train{share}", f"test{share}"])
test = kv.data.batches(test_digits.repeat(versions), **varied, shuffle=False, seed=2).cache()
again = kv.data.batches(train_digits.repeat(versions), **varied, shuffle=False, seed=3).cache()
as_they_are = kv.data.batches(train_digits, SHAPE, BATCH)


class Measure(keras.callbacks.Callback):
    """Notes the time of each epoch, and at the end the errors in inference mode."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.time(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.time() - self.started[0]
        logs["cpu_seconds"] = time.process_time() - self.started[1]

    def on_train_end(self, logs=None):
        sets = {"training_error": again, "training_error_as_they_are": as_they_are}
        sets["test_error"] = test
        scores = {name: self.model.evaluate(data, verbose=0) for name, data in sets.items()}
        errors = {name: 1 - accuracy for name, (_, accuracy) in scores.items()}
        parameters = sum(math.prod(weight.shape) for weight in self.model.trainable_weights)
        text = json.dumps({"parameters": parameters, **errors})
        (self.folder / "errors.json").write_text(text, encoding="utf-8")


# Training: the paper's optimiser and steps. Keras takes the weight decay beside the gradient, where
# 1e-3 does what the paper's 1e-4 in the gradient does at momentum 0.9.
results, histories = [], {panel: {} for panel in NETWORKS}
for panel, name in NETWORKS.items():
    for depth in args.depths:
        folder = args.run / f"{panel}_{depth}"
        done = kv.training.completed_epochs(folder)
        if not kv.training.is_finished(folder):
            print(f"{name} of depth {depth}, {args.epochs - done} epochs to go", flush=True)
            keras.utils.set_random_seed(1)
            train = train_digits.repeat(versions)
            train = kv.data.batches(train, **varied, seed=1, first_epoch=done)
            model = kv.build_model(name, depth=depth, input_shape=SHAPE, classes=10)
            steps = args.epochs * len(train)
            rate = keras.optimizers.schedules.PiecewiseConstantDecay(
                [steps // 2, steps * 3 // 4], [args.learning_rate / 10**step for step in range(3)]
            )
            sgd = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=1e-3)
            model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
            callbacks = [Measure(folder), *kv.training.callbacks(folder)]
            options = {"epochs": args.epochs, "shuffle": False, "verbose": 2}
            model.fit(train, validation_data=test, callbacks=callbacks, **options)
            keras.backend.clear_session()
        elif done != args.epochs:
            parser.error(f"{folder} holds a run of {done} epochs: pass another --run")
        histories[panel][f"{depth} layers"] = folder / "history.csv"
        with open(folder / "history.csv", newline="", encoding="utf-8") as file:
            minutes = sum(float(epoch["seconds"]) for epoch in csv.DictReader(file)) / 60
        row = {"network": name, "depth": depth, "epochs": args.epochs, "minutes": minutes}
        results.append(row | json.loads((folder / "errors.json").read_text(encoding="utf-8")))

# Result
(args.run / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
kv.visualize.error_curves(histories).savefig(args.run / "degradation.png")
for row in results:
    print("{network} {depth}: training {training_error:.2%}, test {test_error:.2%}".format(**row))
