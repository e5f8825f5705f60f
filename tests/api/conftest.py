"""The trained runs of the tests of prediction."""

from tests.predicting.conftest import run

__all__ = ["run"]
