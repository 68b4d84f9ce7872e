"""Trains HED on your pictures and drawn edges and leaves a run with checked phone files.

Command:       python apps/train_edges.py BSR/ --size 320x480 --run saved_models/outlines
No data yet:   python apps/train_edges.py scenes --size 96 --option alpha=0.25 --epochs 8
Fine-tuning:   add --backbone VGG16 --backbone-weights imagenet (downloads once), or --weights
               saved_models/other
Several hosts: start it on each with TF_CONFIG set, in a folder they share; then once without

The data is Berkeley's folder (BSR), a folder of pictures beside a folder of edges, one with a
train_pair.lst, or 'scenes'. A killed run goes on when the same command is started again. Of scenes,
as above, with --data-option train=600: 8 minutes on two cores that others used too, ODS 82 %.
"""

import sys

import kvision as kv
from kvision.runs import scripts

parser = scripts.parser(
    __doc__,
    data="a folder, or 'scenes'",
    run="saved_models/edges",
    model="HED",
    size=128,
    epochs=20,
    batch_size=8,
    backbone="VGG16, of the same alpha, whose weights to begin with; by default none",
)
add = parser.add_argument
add("--augment", default="mirror", choices=("mirror", "photo", "none"))
parser.set_defaults(learning_rate=1e-3)
args, strategy = scripts.start(parser, "edges")

import keras  # noqa: E402

# Data: what the source has no split for is cut from its training images.
options = scripts.data_options(args)
sets = kv.data.three_sets(args.data, "edges", dict(args.split), **options)
print(sets.summary)
shape = (*args.size, args.channels)

# Model: every depth gives edges of its own and is told how good they are.
run = kv.runs.begin(args.run, "edges", sets, shape, args.patience)
chosen = dict(args.option)
start = "zeros" if args.backbone_weights else "glorot_uniform"
args.option = [("side_outputs", True), ("score_initializer", start), *args.option]
with strategy.scope():
    model = scripts.build(args, shape, None, run.finished)
model = run.settled(model)


def batches(examples, **options):
    given = {"image_size": shape, "batch_size": args.batch_size, "resize": args.resize}
    return kv.data.batches(examples, **given, **options, target="edges")


def supervised(dataset):
    return dataset.map(lambda image, edges: (image, dict.fromkeys(model.output, edges)))


mirror = [keras.layers.RandomFlip("horizontal")]
augment = {"mirror": mirror, "photo": True, "none": None}[args.augment]
varied = {"augment": augment, "seed": args.seed, "first_epoch": run.first_epoch}
train = supervised(batches(sets.train, training=True, **varied))

# Training
if not run.finished:
    with strategy.scope():
        rate = args.learning_rate / 10 if args.weights else args.learning_rate
        decay = keras.optimizers.schedules.CosineDecay(rate, args.epochs * len(train))
        model.compile(
            keras.optimizers.Adam(decay),
            loss=dict.fromkeys(model.output, kv.losses.BalancedBinaryCrossentropy()),
            jit_compile=args.jit_compile,
        )
    model.fit(
        train,
        validation_data=supervised(batches(sets.validation)),
        epochs=args.epochs,
        callbacks=[kv.training.Seconds(), *run.callbacks],
        shuffle=False,  # the data comes shuffled
    )
kv.training.close(args.run)

# Proof: an app gets the fusion of all depths alone.
fused = kv.build_model(args.model, input_shape=shape, weights=args.run / "model.keras", **chosen)
card = kv.runs.release(
    fused,
    args.run,
    test=batches(sets.test),
    calibration=batches(sets.train),
    data=sets.summary,
    command=None,  # the one that trained it
)
print(f"Test ODS {card['metrics']['ods']:.2%}. Read {args.run}/README.md")
sys.exit(0 if card["passed"] else 1)
