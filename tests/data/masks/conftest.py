"""Folders of images and masks."""

import numpy as np
import pytest

import kvision as kv

SIZE = (12, 16)


@pytest.fixture
def save_pair(save_image):
    """Writes an image of one grey and its mask; the grey numbers the pair."""

    def save(image_path, mask_path, mask, grey=0, **options):
        shape = (
            (mask.size[1], mask.size[0])
            if hasattr(mask, "size") and not hasattr(mask, "dtype")
            else mask.shape[:2]
        )
        save_image(image_path, np.full((*shape, 3), grey, "uint8"))
        save_image(mask_path, mask, **options)

    return save


@pytest.fixture
def save_folder(tmp_path, save_pair):
    """Writes images/ and masks/ with one pair for each mask given, and returns the folder."""

    def save(*masks, images="images", masks_folder="masks", suffix="png", **options):
        for number, mask in enumerate(masks):
            image = tmp_path / images / f"{number}.png"
            save_pair(
                image, tmp_path / masks_folder / f"{number}.{suffix}", mask, number, **options
            )
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


def regions(*values, size=SIZE, dtype="uint8"):
    """A mask of vertical stripes of the given values."""
    values = np.array(values, dtype)
    return values[np.minimum(np.arange(size[1]) * len(values) // size[1], len(values) - 1)][
        None
    ].repeat(size[0], axis=0)
