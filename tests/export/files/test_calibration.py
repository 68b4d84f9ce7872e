import numpy as np
import pytest

from kvision.export.files.calibration import calibration_inputs

SHAPE = (4, 5, 3)


def _images_of(calibration, shape, **options):
    return calibration_inputs(calibration, shape, **options)["image"]


def _images(count):
    return np.full((count, *SHAPE), 100.0) + np.arange(count)[:, None, None, None] / 10


def test_array_is_taken_at_even_distances():
    images = _images_of(_images(1200), SHAPE, limit=5)
    assert images.dtype == np.uint8
    assert images[:, 1, 1, 0].tolist() == [100, 130, 160, 190, 220]


def test_dataset_is_read_no_further_than_needed():
    def batches():
        yield _images(8), np.zeros(8)
        yield _images(8), np.zeros(8)
        pytest.fail("a third batch was read")

    assert len(_images_of(batches(), SHAPE, limit=12)) == 12
    assert len(_images_of([_images(3)], SHAPE)) == 3


def test_range_of_the_input_is_that_of_pixels():
    images = _images_of(_images(3), SHAPE)
    assert (images.min(), images.max()) == (0, 255)
    assert (images[1:].min(), images[1:].max()) == (100, 100)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (None, 'quantize="int8" needs `calibration`'),
        ([], "Received: no images"),
        (np.zeros((0, *SHAPE)), "Received: no images"),
        (np.full((2, 9, 9, 3), 9), r"shape \(4, 5, 3\), at least one. Received: \(2, 9, 9, 3\)"),
        (np.full((4, 5, 3), 9), r"Received: \(4, 5, 3\)"),
        (_images(2) / 255, "do not divide by 255. Received: values from 0.392"),
        (_images(2) - 128, "Received: values from -28"),
        (_images(2) * 3, "to 300"),
    ],
)
def test_errors(calibration, message):
    with pytest.raises(ValueError, match=message):
        _images_of(calibration, SHAPE)
