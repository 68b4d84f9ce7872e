"""Trains a detector on your pictures and boxes and leaves a run with checked phone files.

Command:       python apps/train_detector.py photos/ --size 320 --run saved_models/photos
No data yet:   python apps/train_detector.py scenes --size 128 --epochs 20
Another net:   add --model FasterRCNN --option feature_pyramid=True, --model MaskRCNN or SSD300
Fine-tuning:   add --backbone-weights imagenet (downloads once), or --weights saved_models/other
Several hosts: start it on each with TF_CONFIG set, in a folder they share; then once without

The data is a VOC, COCO or YOLO folder, a COCO .json, a .csv of boxes, a TFDS name or 'scenes'. A
killed run goes on when the same command is started again. Phones get SSDLite and SSD300; the
two-stage networks are for the desk, and leave a SavedModel.
"""

import sys

import kvision as kv
from kvision.runs import scripts

PHONES = ("SSDLite", "SSD300")
MASKS = ("MaskRCNN", "MaskXRCNN")

parser = scripts.parser(
    __doc__,
    data="a VOC or YOLO folder, a COCO .json, a .csv of boxes, a TFDS name or 'scenes'",
    run="saved_models/detector",
    model="SSDLite",
    size=320,
    epochs=60,
    backbone="a classifier to build on; the model's own by default",
)
add = parser.add_argument
add("--augment", default="crop", choices=("crop", "shift", "mirror", "none"), help="of pictures")
add("--score-every", type=int, default=5, help="epochs between COCO scores (default 5)")
args, strategy = scripts.start(parser, "detection")

import keras  # noqa: E402

# Data: what the source has no split for is cut from its training images.
masks = args.model in MASKS
options = scripts.data_options(args, annotations="instances" if masks else "boxes")
sets = kv.data.three_sets(args.data, "objects", dict(args.split), **options)
print(sets.summary)
names = sets.class_names
shape = (*args.size, args.channels)

# Model: a new one, or that of a run that is trained already.
run = kv.runs.begin(args.run, "detection", sets, shape, args.patience)
with strategy.scope():
    usual = "MobileNetV2" if args.backbone_weights else None
    model = scripts.build(args, shape, len(names), run.finished, usual)
model = run.settled(model)


def batches(examples, **options):
    given = {"image_size": shape, "batch_size": args.batch_size, "resize": args.resize}
    return kv.data.batches(examples, **given, **options, target="objects", masks=masks)


augment = {
    "crop": kv.data.detection_augmentation(),
    "shift": [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomZoom((-0.2, 0.25)),
        keras.layers.RandomTranslation(0.15, 0.15),
    ],
    "mirror": [keras.layers.RandomFlip("horizontal")],
    "none": None,
}[args.augment]
varied = {"augment": augment, "seed": args.seed, "first_epoch": run.first_epoch}
train = batches(sets.train, training=True, **varied)
validation = batches(sets.validation)

# Training
if not run.finished:
    with strategy.scope():
        rate = args.learning_rate / 10 if args.weights else args.learning_rate
        steps = args.epochs * len(train)
        warm = min(200, steps // 10)
        schedule = keras.optimizers.schedules.CosineDecay(
            rate / 100, steps - warm, warmup_target=rate, warmup_steps=warm
        )
        optimizer = keras.optimizers.Adam(schedule, global_clipnorm=10.0)
        model.compile(optimizer, jit_compile=args.jit_compile)  # the model has its losses
    scores = kv.evaluation.DetectionScores(validation, names, frequency=args.score_every)
    model.fit(
        train,
        validation_data=validation,
        epochs=args.epochs,
        callbacks=[kv.training.Seconds(), scores, *run.callbacks],
        shuffle=False,  # the data comes shuffled
    )
kv.training.close(args.run)

# Proof
card = kv.runs.release(
    model,
    args.run,
    test=batches(sets.test),
    calibration=batches(sets.train),
    class_names=names,
    quantize=(None, "int8") if args.model in PHONES else (),
    data=sets.summary,
    command=None,  # the one that trained it
)
scores = card["metrics"]["coco"]
print(f"Test AP {scores['AP']:.2%}, AP50 {scores['AP50']:.2%}. Read {args.run}/README.md")
if scores["AP50"] < 0.05:
    print("It finds next to nothing: give it more --epochs, pictures, or --backbone-weights.")
sys.exit(0 if card["passed"] else 1)
