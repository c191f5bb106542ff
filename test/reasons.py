"""Asserts that code refuses what it is given, and for which reason."""

import pytest


def raises(kind, reason, match=None):
    """Expect an error of this package by its slug, which stays when its text is reworded."""
    return pytest.raises(kind, match=match, check=lambda error: error.reason == reason)
