"""The CRF as post-processing of any model's probabilities."""

import numpy as np
import pytest

import kvision as kv


def blurred_edge(height=30, width=40, edge=20, shift=3):
    """A picture with one edge, and a segmenter's opinion that is off by a few pixels."""
    random = np.random.default_rng(0)
    x = np.arange(width)
    image = random.normal(60, 2, (height, width, 3)) + 120 * (x >= edge)[:, None]
    second = 1 / (1 + np.exp(-(x - edge - shift + 0.5) / 2))
    scores = np.stack([1 - second, second], axis=-1) + np.zeros((height, 1, 1))
    return (
        scores.astype("float32"),
        image.astype("float32"),
        np.broadcast_to(x >= edge, (height, width)),
    )


@pytest.mark.parametrize("window", ["auto", None, 11])
def test_labels_move_to_the_edge(window):
    scores, image, truth = blurred_edge()
    wrong = (scores.argmax(axis=-1) != truth).mean()
    refined = kv.evaluation.crf_refine(scores, image, window=window)
    assert wrong == pytest.approx(3 / 40)
    assert (refined.argmax(axis=-1) != truth).mean() == 0
    np.testing.assert_allclose(refined.sum(axis=-1), 1, rtol=1e-5)
    assert refined.dtype == np.float32


def test_is_the_layer():
    scores, image, _ = blurred_edge()
    layer = kv.layers.FullyConnectedCRF(window=7, from_logits=False)
    expected = np.asarray(layer([scores[None], image[None]]))[0]
    result = kv.evaluation.crf_refine(scores, image, window=7)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_auto_is_exact_up_to_64x64_and_a_window_beyond():
    for width, window in ((64, None), (65, 11)):
        scores, image, _ = blurred_edge(64, width)
        scores, image = scores[:, :width], image[:, :width]
        chosen, expected = (
            kv.evaluation.crf_refine(scores, image, iterations=1, window=w)
            for w in ("auto", window)
        )
        np.testing.assert_array_equal(chosen, expected)


def test_batches_and_lists():
    scores, image, _ = blurred_edge()
    one = kv.evaluation.crf_refine(scores, image)
    batch = kv.evaluation.crf_refine(np.stack([scores] * 2), np.stack([image] * 2))
    np.testing.assert_allclose(batch, np.stack([one] * 2), atol=1e-6)
    several = kv.evaluation.crf_refine([scores, scores[:9]], [image, image[:9].astype("uint8")])
    assert [part.shape for part in several] == [(30, 40, 2), (9, 40, 2)]
    np.testing.assert_allclose(several[0], one, atol=1e-6)


def test_wrong_arguments_say_what_to_do():
    scores, image, _ = blurred_edge()
    refine = kv.evaluation.crf_refine
    with pytest.raises(ValueError, match="must have one size. Received shapes"):
        refine(scores, image[:10])
    with pytest.raises(ValueError, match="must have one size. Received shapes"):
        refine([scores], [image[..., 0]])
    with pytest.raises(ValueError, match="`images` must be a list of 2, as `probabilities` is"):
        refine([scores, scores], [image])
    with pytest.raises(ValueError, match="and `images` as many. Received shapes"):
        refine(np.stack([scores] * 2), image)
    with pytest.raises(ValueError, match="must lie in 0..1.*from -3 to 0"):
        kv.evaluation.crf_refine(np.linspace(-3, 0, 8).reshape(2, 2, 2), np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match="`window` must be None or an odd number from 3"):
        refine(scores, image, window=2)
