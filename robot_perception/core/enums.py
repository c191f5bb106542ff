"""Enums whose members are strings: the sources of depth, and the stages of the pipeline."""

from __future__ import annotations

from enum import Enum


class StrEnum(str, Enum):
    """An enum whose members compare, hash, print and serialize as their strings.

    As `enum.StrEnum` of Python 3.11, with the ``repr`` of the string.
    """

    __str__ = str.__str__
    __repr__ = str.__repr__


class DepthSource(StrEnum):
    """Where metric depth comes from."""

    MODEL = 'model'
    SENSOR = 'sensor'
    FUSED = 'fused'

    @property
    def uses_network(self) -> bool:
        """Whether the depth network runs."""
        return self is not DepthSource.SENSOR

    @property
    def uses_sensor(self) -> bool:
        """Whether the depth of a sensor is needed."""
        return self is not DepthSource.MODEL


class Stage(StrEnum):
    """One network of the pipeline, in the order of its parameters and timings."""

    FEATURES = 'features'
    DEPTH = 'depth'
    DETECTOR = 'detector'
    SEGMENTER = 'segmenter'
    SEMANTICS = 'semantics'
    SCENE = 'scene'
