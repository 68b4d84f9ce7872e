"""Folders of images and masks."""

import numpy as np
import pytest

import kvision as kv


@pytest.fixture
def save_pair(save_image):
    """Writes an image of one grey and its mask; the grey numbers the pair."""

    def save(image_path, mask_path, mask, grey=0, **options):
        save_image(image_path, np.full((*np.asarray(mask).shape[:2], 3), grey, "uint8"))
        save_image(mask_path, mask, **options)

    return save


@pytest.fixture
def save_folder(tmp_path, save_pair):
    """Writes images/ and masks/ with one pair for each mask given, and returns the folder."""

    def save(*masks, suffix="png", **options):
        for number, mask in enumerate(masks):
            where = tmp_path / "masks" / f"{number}.{suffix}"
            save_pair(tmp_path / "images" / f"{number}.png", where, mask, number, **options)
        return tmp_path

    return save


@pytest.fixture
def served():
    """Loads a folder and returns its masks by the number that their images show, and the info."""

    def serve(root, split="train", **options):
        dataset, info = kv.data.load(root, split, with_info=True, **options)
        masks = {}
        for example in dataset.as_numpy_iterator():
            assert example["segmentation_mask"].dtype == np.uint8
            assert example["segmentation_mask"].shape == (*example["image"].shape[:2], 1)
            masks[int(example["image"][0, 0, 0])] = example["segmentation_mask"][..., 0]
        return masks, info

    return serve
