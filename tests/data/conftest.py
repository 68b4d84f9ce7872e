"""Every test checks folders anew and leaves nothing in the user's cache folder."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def _clean_keras():
    """Nothing to clear: these tests build no models, and clearing takes longer than they do."""


@pytest.fixture
def save_image():
    """Writes a smooth picture, or given pixels, so that JPEG keeps it nearly as it is."""

    def save(path, pixels=None, shape=(24, 32), **options):
        from PIL import Image

        if pixels is None:
            y, x = np.mgrid[: shape[0], : shape[1]]
            pixels = np.stack([x * 6, y * 6, 255 - x * 3 - y * 3], axis=-1).astype("uint8")
        path.parent.mkdir(parents=True, exist_ok=True)
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.save(path, **options)
        return np.asarray(image)

    return save


@pytest.fixture
def clean_folder(tmp_path, save_image):
    """Two classes of ten small PNG files; the pixel value is 10 * class + number."""
    root = tmp_path / "photos"
    for label, name in enumerate(("cat", "dog")):
        for number in range(10):
            pixels = np.full((6, 8, 3), 100 * label + number, "uint8")
            save_image(root / name / f"{number}.png", pixels)
    return root
