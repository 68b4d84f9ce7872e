"""COCO instances as a source: of class masks, of boxes, or of boxes with the masks of objects."""

from kvision.data.boxes.coco import coco_boxes
from kvision.data.coco_files import read_coco
from kvision.data.listing import report
from kvision.data.masks.coco import coco_masks

KINDS = ("masks", "boxes", "instances")


def coco(path, errors="skip", seed=0, annotations=None, image_folder=None):
    """Reads COCO instances.

    Args:
        path: the `.json` file, or a folder with `annotations/instances_train2017.json` and the
            like.
        errors: "skip" leaves out images and annotations that cannot be served and repairs boxes,
            with one warning that names them; "raise" stops instead.
        seed: the order of the examples depends on it.
        annotations: "masks" for class masks, "boxes" for objects, "instances" for objects with
            their masks; None for class masks, or for boxes where nothing else is in the file.
        image_folder: where the images lie; None looks for them, see `read_coco`.

    Returns:
        A source, its only split "train" if `path` is a file.

    Raises:
        ValueError: if a file is no such file, or nothing can be served,
            or, with `errors="raise"`, anything cannot be or has to be repaired.
    """
    files = read_coco(path, image_folder)
    if annotations is None:
        annotations = "boxes" if _only_boxes(files) else "masks"
    if annotations == "masks":
        source = coco_masks(path, files, seed)
    else:
        source = coco_boxes(path, files, seed, masks=annotations == "instances")
    info = source.info
    served = sum(split.num_examples for split in info.splits.values())
    notes = dict.fromkeys(note for file in files.values() for note in file.notes)
    what = "annotation(s)" if annotations == "masks" else "box(es)"
    report(path, info.skipped, errors, served, list(notes), info.repaired, what)
    return source


def _only_boxes(files):
    painted = {file.painted for file in files.values()}
    return False in painted and True not in painted
