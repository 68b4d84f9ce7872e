"""An R-CNN in a folder: numbers as `.npz`, options as `.json`, the classifier as `.keras`."""

import json
from pathlib import Path

import keras
import numpy as np

from kvision.files.keras_files import check_keras_file
from kvision.files.reading import reading

ARRAYS = ("svm_weights_", "svm_biases_", "box_weights_", "box_biases_", "scales_")
OPTIONS = (
    "move",
    "regularization",
    "positive_weight",
    "alpha",
    "mining_epochs",
    "iou_threshold",
    "score_threshold",
    "most",
    "seed",
)


def save(detector, folder):
    """Writes a fitted detector."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    detector.classifier.save(folder / "classifier.keras")
    values = {name: getattr(detector, name) for name in ARRAYS}
    np.savez(folder / "rcnn.npz", **{k: v for k, v in values.items() if v is not None})
    regions = detector.regions
    description = {
        "class_names": detector.class_names,
        "options": {
            **{name: getattr(detector, name) for name in OPTIONS},
            "features": regions.names[0],
            "box_features": regions.names[1],
            "context": regions.context,
            "fill": regions.fill,
            "batch_size": regions.batch_size,
        },
        "classifier": regions.fingerprint(),
    }
    (folder / "rcnn.json").write_text(json.dumps(description, indent=2) + "\n")


def load(kind, folder, classifier, options):
    """Reads a detector of class `kind`."""
    folder = Path(folder)
    missing = [name for name in ("rcnn.json", "rcnn.npz") if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"`folder` must hold what `RCNN.save` wrote. Received: {folder}, without "
            f"{' and '.join(missing)}"
        )
    with reading(folder / "rcnn.json", "The description"):
        description = json.loads((folder / "rcnn.json").read_text(encoding="utf-8"))
    if classifier is None:
        from kvision import layers  # noqa: F401  Keras then knows them by name

        file = folder / "classifier.keras"
        with reading(file, "The classifier"):
            check_keras_file(file)
            classifier = keras.models.load_model(file, compile=False, safe_mode=True)
    detector = kind(classifier, description["class_names"], **{**description["options"], **options})
    if detector.regions.fingerprint() != description["classifier"]:
        raise ValueError(
            "`classifier` must be the one that this R-CNN was fitted with, weights and all. "
            f"Received another: `{classifier.name}`. Leave it out to load the one in the folder."
        )
    with np.load(folder / "rcnn.npz", allow_pickle=False) as arrays:
        for name in ARRAYS:
            setattr(detector, name, arrays.get(name))
    detector.scales_ = tuple(float(scale) for scale in detector.scales_)
    return detector
