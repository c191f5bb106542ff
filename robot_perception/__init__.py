"""Scene features, depth, objects and masks of every camera frame, for ROS 2 and without it.

>>> from robot_perception import PerceptionPipeline, process_stream
>>> pipeline = PerceptionPipeline.from_preset('stub')
>>> scene = pipeline.process(rgb)  # doctest: +SKIP
>>> for scene in process_stream(pipeline, 'recording.mcap'):  # doctest: +SKIP
...     print(scene)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robot_perception.bag import process_stream
    from robot_perception.core import Scene
    from robot_perception.pipeline import PerceptionPipeline

__version__ = '0.1.0'
__all__ = ['PerceptionPipeline', 'Scene', '__version__', 'process_stream']

_PACKAGES = {'PerceptionPipeline': 'pipeline', 'Scene': 'core', 'process_stream': 'bag'}


def __getattr__(name: str) -> object:
    """Import a name on first use, so that `robot_perception.core` needs numpy only."""
    if name not in _PACKAGES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module  # noqa: PLC0415 - nothing is imported before it is needed

    return getattr(import_module(f'{__name__}.{_PACKAGES[name]}'), name)
