import numpy as np
import pytest


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    return generator.normal(size=(12, 5)).astype("float32"), generator.integers(0, 3, 12)
