"""Finds objects with MediaPipe Tasks, as an app does: `model.tflite images.npy [score]`.

Runs in an environment of its own, without kvision. Prints one JSON list: for each image a list of
`[label, index, score, [left, top, width, height]]` in pixels, best first.
"""

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def main():
    model, images = sys.argv[1], np.load(sys.argv[2], allow_pickle=False)
    threshold = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=model),
        max_results=-1,
        score_threshold=threshold,
    )
    results = []
    with vision.ObjectDetector.create_from_options(options) as detector:
        for pixels in images:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
            found = []
            for detection in detector.detect(image).detections:
                box, best = detection.bounding_box, detection.categories[0]
                sides = [box.origin_x, box.origin_y, box.width, box.height]
                found.append([best.category_name, best.index, best.score, sides])
            results.append(found)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
