"""COCO's average precision and recall, counted by pycocotools."""

import contextlib
import io

COCO_NUMBERS = (
    "AP",
    "AP50",
    "AP75",
    "AP_small",
    "AP_medium",
    "AP_large",
    "AR1",
    "AR10",
    "AR100",
    "AR_small",
    "AR_medium",
    "AR_large",
)
# Outside every range of areas: such an object is neither to be found nor wrong to find.
_NO_AREA = -1.0


def coco_scores(pictures, class_names, masks=False):
    """COCO's twelve numbers, over all classes and class by class.

    Args:
        pictures: list of `ComparedPicture`.
        class_names: names in label order.
        masks: whether masks are compared, or boxes.

    Returns:
        `(numbers, per_class, curves)`: a dict of the twelve; a list of dicts with `AP` and `AP50`;
        and a dict of `recall` (101 values), `precision_50` and `precision_75` (a list for each
        class). What is undefined, as there are no such objects, is `None`.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it tells its progress
        sides = []
        for annotations in (_true_annotations, _found_annotations):
            side = COCO()
            side.dataset = {
                "images": [
                    {"id": i, "height": picture.size[0], "width": picture.size[1]}
                    for i, picture in enumerate(pictures, 1)
                ],
                "categories": [{"id": i, "name": name} for i, name in enumerate(class_names)],
                "annotations": annotations(pictures, masks),
            }
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, "segm" if masks else "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # Precision of (IoU .5, .55 .. .95; recall 0, .01 .. 1; class) over all areas, 100 detections.
    precision = evaluation.eval["precision"][..., 0, 2]
    numbers = dict(zip(COCO_NUMBERS, map(_known, evaluation.stats), strict=True))
    return numbers, _per_class(precision), _curves(precision, evaluation.params.recThrs)


def _per_class(precision):
    return [
        {"AP": _known(precision[:, :, k].mean()), "AP50": _known(precision[0, :, k].mean())}
        for k in range(precision.shape[-1])
    ]


def _curves(precision, recall):
    curves = {"recall": recall.round(2).tolist()}
    for name, step in (("precision_50", 0), ("precision_75", 5)):
        curves[name] = [
            curve.round(4).tolist() if curve[0] >= 0 else None for curve in precision[step].T
        ]
    return curves


def _true_annotations(pictures, masks):
    annotations = []
    for image, picture in enumerate(pictures, 1):
        for i, box in enumerate(picture.true_boxes):
            annotation = {
                "id": len(annotations) + 1,  # 0 would mean that it was not found
                "image_id": image,
                "category_id": int(picture.true_classes[i]),
                "bbox": box.tolist(),
                "area": _NO_AREA if picture.difficult[i] else float(picture.true_areas[i]),
                "iscrowd": int(picture.crowd[i]),
            }
            if masks:
                annotation["segmentation"] = picture.true_masks[i]
            annotations.append(annotation)
    return annotations


def _found_annotations(pictures, masks):
    from pycocotools import mask as coding

    annotations = []
    for image, picture in enumerate(pictures, 1):
        for i, box in enumerate(picture.boxes):
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image,
                "category_id": int(picture.classes[i]),
                "bbox": box.tolist(),
                "area": float(box[2] * box[3]),
                "score": float(picture.scores[i]),
            }
            if masks:
                code = picture.masks[i]
                annotation.update(segmentation=code, area=float(coding.area(code)))
            annotations.append(annotation)
    return annotations


def _known(value):
    return None if value < 0 else float(value)
