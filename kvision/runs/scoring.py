"""What `kvision evaluate` says of a model: lines on the whole, and a row for each class."""

from kvision import evaluation
from kvision.runs.tables import percent


def score_classes(loaded, batches, names):
    """Scores of a classifier.

    Args:
        loaded: what `kv.export.load` returned.
        batches: of pictures and their truth.
        names: of the classes.

    Returns:
        Lines of text; a list of dicts, one for each class; `{key of them: heading}`.
    """
    result = evaluation.evaluate_classifier(loaded, batches, names)
    low, high = result["accuracy_interval"]
    accuracy = f"{result['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})"
    if result["confusion"] is None:
        lines = [
            f"all labels right {accuracy}",
            f"each label right {result['label_accuracy']:.2%}",
        ]
    else:
        lines = [
            f"top-1 accuracy {accuracy}",
            f"top-{result['top_k']} accuracy {result['top_k_accuracy']:.2%}",
        ]
    took = ", of the probabilities that its logits mean" * (result["scores"] == "logits")
    lines = [
        f"{result['samples']:,} images",
        *lines,
        f"log loss       {result['log_loss']:.4f}{took}",
    ]
    columns = {"samples": "images", "precision": "precision", "recall": "recall", "f1": "F1"}
    return lines, result["per_class"], columns


def score_masks(loaded, batches, names):
    """Scores of a segmenter, as `score_classes` gives them."""
    # A network that does not pad answers for the middle of the picture.
    result = evaluation.evaluate_segmenter(loaded, batches, names, crop_truth=True)
    lines = [f"{result['images']:,} images, {result['pixels']:,} pixels"]
    for key in ("mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou"):
        lines.append(f"{key.replace('_', ' '):<23} {result[key]:.2%}")
    lines.append(f"{'boundary F1':<23} {percent(result['boundary_f1'])}")
    columns = {"pixels": "pixels", "iou": "IoU", "accuracy": "recall", "precision": "precision"}
    return lines, result["per_class"], columns


def score_boxes(loaded, batches, names):
    """Scores of a detector, as `score_classes` gives them."""
    result = evaluation.evaluate_detector(loaded, batches, names)
    lines = [f"{result['images']:,} images, {result['objects']:,} objects"]
    for kind, what in (("coco", ""), ("coco_masks", "mask ")):
        for key, value in result.get(kind, {}).items():
            lines.append(f"{what + key.replace('_', ' '):<15} {percent(value)}")
    lines.append(f"{'VOC AP, area':<15} {percent(result['voc']['AP_area'])}")
    lines.append(f"{'VOC AP, 11':<15} {percent(result['voc']['AP_11_point'])}")
    columns = {"objects": "objects", "AP": "AP", "AP50": "AP50"}
    if "coco_masks" in result:
        columns["mask_AP"] = "mask AP"
    return lines, result["per_class"], {**columns, "precision": "precision", "recall": "recall"}


SCORES = {
    "classification": score_classes,
    "segmentation": score_masks,
    "detection": score_boxes,
}
