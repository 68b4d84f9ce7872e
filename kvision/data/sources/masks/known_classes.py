"""The classes of the data sets that everybody has: VOC, Cityscapes, CamVid, and TFDS's pets."""

from kvision.data.sources.masks.label_table import LabelTable
from kvision.ops.masks import VOID

VOC_NAMES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
# (id in the files, name, colour) in the order of the 19 classes that are trained and scored.
_CITYSCAPES = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
_LAST_CITYSCAPES_ID = 33
# SegNet's edition: eleven classes, and 11 where there is none.
_CAMVID = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (60, 40, 222)),
    ("tree", (128, 128, 0)),
    ("sign symbol", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
PET_NAMES = ("pet", "background", "border")


def voc_table():
    """VOC's 21 classes, in palette files or in their colours."""
    colours = {colour: index for index, colour in enumerate(_voc_colours(len(VOC_NAMES)))}
    colours[_voc_colours(VOID + 1)[VOID]] = VOID
    values = {**{index: index for index in range(len(VOC_NAMES))}, VOID: VOID}
    return LabelTable(VOC_NAMES, None, values, colours)


def cityscapes_table(train_ids=False):
    """Cityscapes' 19 classes, by the ids in the files or already numbered for training."""
    names, colours = [name for _, name, _ in _CITYSCAPES], [rgb for _, _, rgb in _CITYSCAPES]
    if train_ids:
        values = {index: index for index in range(len(names))}
    else:
        values = dict.fromkeys(range(_LAST_CITYSCAPES_ID + 1), VOID)
        values |= {number: index for index, (number, _, _) in enumerate(_CITYSCAPES)}
    return LabelTable(tuple(names), tuple(colours), {**values, VOID: VOID}, {})


def camvid_table():
    """The eleven classes of CamVid that SegNet was trained on."""
    names, colours = zip(*_CAMVID, strict=True)
    values = {index: index for index in range(len(names))}
    return LabelTable(names, colours, {**values, len(names): VOID, VOID: VOID}, {})


def pet_table():
    """Pet, background and border, which the trimaps of the pets number from 1."""
    values = {index + 1: index for index in range(len(PET_NAMES))}
    return LabelTable(PET_NAMES, None, {**values, VOID: VOID}, {})


def _voc_colours(count):
    """VOC's colour map: the bits of the index, dealt out to red, green and blue."""
    colours = []
    for index in range(count):
        colour = [0, 0, 0]
        for bit in range(8):
            # Every third bit of the index is one of the channel, the lowest its highest.
            colour[bit % 3] |= (index >> bit & 1) << 7 - bit // 3
        colours.append(tuple(colour))
    return colours
