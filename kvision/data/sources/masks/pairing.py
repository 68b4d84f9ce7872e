"""Which mask belongs to which image, by their names."""

import os
import re

from kvision.data.info import SkippedFile

_MASK_WORDS = (
    "gtFine_labelIds|gtFine_labelTrainIds|gtCoarse_labelIds|labelIds|masks?|labels?|gt|"
    "ground_?truth|segmentation|seg|annotations?|annot|trimap|manual1|L"
)
_IMAGE_WORDS = "leftImg8bit|images?|img|rgb|sat|training|test"


def match(images, masks, image_folder, mask_folder, what="mask"):
    """Pairs images with masks of the same name.

    The names are the paths inside the two folders without their endings. What has no partner then
    is compared without such words as "_mask", "_gt", "_leftImg8bit" and "image_".

    Args:
        images: list of paths of images relative to the source's folder.
        masks: likewise of masks.
        image_folder: the folder of the images, relative to the source's folder.
        mask_folder: likewise of the masks.
        what: what to call one of them in a reason.

    Returns:
        The sorted list of (image, mask) pairs, and the list of `SkippedFile`s of all that has no
        partner, or more than one.
    """
    owners, refused, waiting = {}, [], images
    for wordless in (False, True):
        offered = {}
        for mask in masks:
            if not (wordless and mask in owners):
                offered.setdefault(_key(mask, mask_folder, wordless, _MASK_WORDS), []).append(mask)
        lonely = []
        for image in waiting:
            found = offered.get(_key(image, image_folder, wordless, _IMAGE_WORDS), [])
            if not found:
                lonely.append(image)
            elif len(found) > 1:
                names = " and ".join(repr(mask) for mask in found[:2])
                refused.append(SkippedFile(image, f"more than one {what} fits: {names}"))
                masks = [mask for mask in masks if mask not in found]
            elif found[0] in owners:
                reason = f"its {what} {found[0]!r} is that of {owners[found[0]]!r} already"
                refused.append(SkippedFile(image, reason))
            else:
                owners[found[0]] = image
        waiting = lonely
    refused += [SkippedFile(name, f"no {what} of this name in {mask_folder!r}") for name in waiting]
    refused += [
        SkippedFile(name, f"no image of this name in {image_folder!r}")
        for name in masks
        if name not in owners
    ]
    return sorted((image, mask) for mask, image in owners.items()), refused


def _key(name, folder, wordless, words):
    stem = os.path.splitext(os.path.relpath(name, folder or "."))[0]
    if not wordless:
        return stem
    top, stem = os.path.split(stem)
    short = re.sub(rf"[_\-. ]+({words})$", "", stem, flags=re.IGNORECASE)
    short = re.sub(rf"^({words})[_\-. ]+", "", short, flags=re.IGNORECASE)
    return os.path.join(top, short).lower()
