"""Enums whose members are strings, and the stages of the pipeline."""

from __future__ import annotations

from enum import Enum


class StrEnum(str, Enum):
    """An enum whose members compare, hash, print and serialize as their strings.

    As `enum.StrEnum` of Python 3.11, with the ``repr`` of the string.
    """

    __str__ = str.__str__
    __repr__ = str.__repr__


class Stage(StrEnum):
    """One network of the pipeline, in the order of its parameters and timings."""

    FEATURES = 'features'
    DEPTH = 'depth'
    DETECTOR = 'detector'
    SEGMENTER = 'segmenter'
