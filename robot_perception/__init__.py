"""Scene features, depth, objects and masks of every camera frame, for ROS 2 and without it.

>>> from robot_perception import PerceptionPipeline
>>> scene = PerceptionPipeline.from_preset('stub').process(rgb)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robot_perception.pipeline import PerceptionPipeline

__version__ = '0.1.0'
__all__ = ['PerceptionPipeline', '__version__']


def __getattr__(name: str) -> object:
    """Import the pipeline on first use, so that `robot_perception.core` needs numpy only."""
    if name == 'PerceptionPipeline':
        from robot_perception.pipeline import PerceptionPipeline  # noqa: PLC0415 - see above

        return PerceptionPipeline
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
