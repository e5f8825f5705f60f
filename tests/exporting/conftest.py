"""The trained runs of the tests of prediction."""

from tests.predicting.conftest import segmentor

__all__ = ["segmentor"]
