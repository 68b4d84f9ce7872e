"""Trains a segmenter on your pictures and masks and leaves a run with checked phone files.

Command:       python apps/train_segmenter.py photos/ --size 128 --run saved_models/photos
No data yet:   python apps/train_segmenter.py scenes --size 96 --epochs 15
Another net:   add --model DeepLabV3Plus --backbone ResNet50, or --model SegNet
Fine-tuning:   add --backbone-weights imagenet (downloads once), or --weights saved_models/other
Several hosts: start it on each with TF_CONFIG set, in a folder they share; then once without

The data is a folder of images beside a folder of masks, a VOC, Cityscapes, CamVid, COCO or YOLO
folder, a COCO .json, a TFDS name or 'scenes'. A killed run goes on when the same command is started
again.
"""

import sys

import kvision as kv
from kvision.runs import scripts

parser = scripts.parser(
    __doc__,
    data="a folder, a COCO .json, a TFDS name or 'scenes'",
    run="saved_models/segmenter",
    model="UNet",
    size=128,
    epochs=30,
    backbone="its encoder, or none; MobileNetV2 by default for UNet, DeepLabV3Plus",
)
add = parser.add_argument
add("--loss", default="crossentropy", choices=("crossentropy", "dice", "iou", "focal"))
add("--augment", default="photo", choices=("photo", "mirror", "elastic", "none"))
add("--border-weights", action="store_true", help="U-Net's weight of the gaps between objects")
add("--balance", action="store_true", help="weigh rare classes up, by median frequency")
args, strategy = scripts.start(parser, "segmentation")

import keras  # noqa: E402

from kvision.ops.masks import centre_crop  # noqa: E402

# Data: what the source has no split for is cut from its training images.
options = scripts.data_options(args, annotations="masks")
sets = kv.data.three_sets(args.data, "segmentation_mask", dict(args.split), **options)
print(sets.summary)
shape = (*args.size, args.channels)
classes = len(sets.class_names)

# Model: a new one, or that of a run that is trained already.
run = kv.runs.begin(args.run, "segmentation", sets, shape, args.patience)
usual = "MobileNetV2" if args.model in ("UNet", "DeepLabV3Plus") else None
with strategy.scope():
    model = scripts.build(args, shape, classes, run.finished, usual)
model = run.settled(model)
map_size = model.output_shape[1:3]  # smaller than the picture in a network that does not pad


def batches(examples, **options):
    given = {"image_size": shape, "batch_size": args.batch_size, "resize": args.resize}
    dataset = kv.data.batches(examples, **given, **options, target="segmentation_mask")
    return dataset.map(lambda image, *maps: (image, *(centre_crop(m, map_size) for m in maps)))


augment = {
    "photo": True,
    "mirror": [keras.layers.RandomFlip("horizontal")],
    "elastic": [keras.layers.RandomFlip(), kv.layers.RandomElasticDeformation()],
    "none": None,
}[args.augment]
examples = kv.data.with_border_weights(sets.train) if args.border_weights else sets.train
varied = {"augment": augment, "seed": args.seed, "first_epoch": run.first_epoch}
train = batches(examples, training=True, **varied)

# Training
if not run.finished:
    weights = kv.data.median_frequency_weights(sets.train, classes) if args.balance else None
    with strategy.scope():
        rate = args.learning_rate / 10 if args.weights else args.learning_rate
        decay = keras.optimizers.schedules.CosineDecay(rate, args.epochs * len(train))
        model.compile(
            keras.optimizers.Adam(decay),
            loss={
                "crossentropy": kv.losses.MaskCrossentropy(class_weight=weights),
                "dice": kv.losses.DiceLoss(),
                "iou": kv.losses.SoftIoULoss(),
                "focal": kv.losses.MaskFocalLoss(),
            }[args.loss],
            metrics=[kv.metrics.MeanIoU(classes), kv.metrics.PixelAccuracy(classes)],
            jit_compile=args.jit_compile,
        )
    model.fit(
        train,
        validation_data=batches(sets.validation),
        epochs=args.epochs,
        callbacks=[kv.training.Seconds(), *run.callbacks],
        shuffle=False,  # the data comes shuffled
    )
kv.training.close(args.run)

# Proof
card = kv.runs.release(
    model,
    args.run,
    test=batches(sets.test),
    calibration=batches(examples),
    class_names=sets.class_names,
    data=sets.summary,
    command=None,  # the one that trained it
)
print(f"Test mean IoU {card['metrics']['mean_iou']:.2%}. Read {args.run}/README.md")
sys.exit(0 if card["passed"] else 1)
