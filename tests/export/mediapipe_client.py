"""Classifies images with MediaPipe Tasks, as an app does: `client.py model.tflite images.npy`.

Runs in an environment of its own, without kvision. Prints one JSON list: for each image a list of
`[label, score, index]`, best first.
"""

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def main():
    model, images = sys.argv[1], np.load(sys.argv[2], allow_pickle=False)
    options = vision.ImageClassifierOptions(
        base_options=BaseOptions(model_asset_path=model), max_results=-1
    )
    results = []
    with vision.ImageClassifier.create_from_options(options) as classifier:
        for pixels in images:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
            categories = classifier.classify(image).classifications[0].categories
            results.append([[c.category_name, c.score, c.index] for c in categories])
    print(json.dumps(results))


if __name__ == "__main__":
    main()
