"""Segments images with MediaPipe Tasks, as an app does: `segmenter.py model.tflite images.npy out`.

Runs in an environment of its own, without kvision. Writes `out` (.npz): `categories`
(n, height, width) and `confidences` (n, classes, height, width); prints the labels as JSON.
"""

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def main():
    model, images = sys.argv[1], np.load(sys.argv[2], allow_pickle=False)
    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_path=model),
        output_category_mask=True,
        output_confidence_masks=True,
    )
    categories, confidences = [], []
    with vision.ImageSegmenter.create_from_options(options) as segmenter:
        for pixels in images:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
            result = segmenter.segment(image)
            categories.append(np.array(result.category_mask.numpy_view()).reshape(pixels.shape[:2]))
            masks = [np.array(mask.numpy_view()) for mask in result.confidence_masks]
            confidences.append([mask.reshape(pixels.shape[:2]) for mask in masks])
        labels = list(segmenter.labels)
    np.savez(sys.argv[3], categories=np.array(categories), confidences=np.array(confidences))
    print(json.dumps(labels))


if __name__ == "__main__":
    main()
