"""Trains a classifier on your pictures and leaves a run with checked phone files.

Command:       python apps/train_classifier.py photos/ --size 96 --run saved_models/photos
Fine-tuning:   add --weights imagenet (downloads once) or --weights saved_models/another-run
Several hosts: start it on each with TF_CONFIG set, in a folder they share; then once without

The data is a folder of class folders (with or without train, validation and test inside), an .npz
file, a TFDS name or 'digits'. A killed run goes on when the same command is started again.
"""

import sys

import kvision as kv
from kvision.runs import scripts

parser = scripts.parser(
    __doc__,
    data="a folder, an .npz file, a TFDS name or 'digits'",
    run="saved_models/classifier",
    model="MobileNetV2",
    size=96,
    epochs=20,
    batch_size=32,
)
add = parser.add_argument
add("--head-epochs", type=int, default=3, help="first the classifier alone, if fine-tuning")
add("--augment", default="photo", choices=("photo", "mirror", "none"), help="vary the pictures")
add("--balance", action="store_true", help="weigh rare classes up")
args, strategy = scripts.start(parser, "classification")

import keras  # noqa: E402

# Data: what the source has no split for is cut from its training images.
sets = kv.data.three_sets(args.data, "label", dict(args.split), **scripts.data_options(args))
print(sets.summary)
shape = (*args.size, args.channels)
common = {"image_size": shape, "batch_size": args.batch_size, "resize": args.resize}
mirror = [keras.layers.RandomFlip("horizontal")]
augment = {"photo": True, "mirror": mirror, "none": None}[args.augment]
validation = kv.data.batches(sets.validation, **common)
weights = kv.data.balanced_class_weight(sets.info) if args.balance else None

# Model: a new one, or that of a run that is trained already.
run = kv.runs.begin(args.run, "classification", sets, shape, args.patience)
with strategy.scope():
    model = scripts.build(args, shape, len(sets.class_names), run.finished)
model = run.settled(model)


def compile_and_fit(learning_rate, epochs, first_epoch=0, callbacks=()):
    varied = {"augment": augment, "seed": args.seed, "first_epoch": first_epoch}
    train = kv.data.batches(sets.train, **common, training=True, **varied)
    with strategy.scope():
        decay = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(train))
        model.compile(
            keras.optimizers.Adam(decay),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=args.jit_compile,
        )
    model.fit(
        train,
        validation_data=validation,
        epochs=epochs,
        class_weight=weights,
        callbacks=list(callbacks),
        shuffle=False,  # the data comes shuffled
    )


# Training: fine-tuning begins with the classifier alone, then goes on with everything, more slowly.
head = model.get_layer("predictions")
if args.weights and head.trainable_weights and not run.first_epoch and not run.finished:
    for layer in model.layers:
        layer.trainable = layer is head
    print("First the new classifier alone:")
    compile_and_fit(args.learning_rate, args.head_epochs)
    model.trainable = True
    print("Now the whole network:")
if not run.finished:
    rate = args.learning_rate / 10 if args.weights else args.learning_rate
    callbacks = [kv.training.Seconds(), *run.callbacks]
    compile_and_fit(rate, args.epochs, run.first_epoch, callbacks)
kv.training.close(args.run)

# Proof
card = kv.runs.release(
    model,
    args.run,
    test=kv.data.batches(sets.test, **common),
    calibration=kv.data.batches(sets.train, **common),
    class_names=sets.class_names,
    data=sets.summary,
    command=None,  # the one that trained it
)
print(f"Test accuracy {card['metrics']['accuracy']:.2%}. Read {args.run}/README.md")
sys.exit(0 if card["passed"] else 1)
