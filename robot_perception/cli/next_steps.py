"""Suggested commands after the first run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
import shlex
import shutil
import sys

from robot_perception.models import find_row
from robot_perception.pipeline import PerceptionConfig
from robot_perception.viewer import Step

_PROGRAM = 'robot-perception'
_PRESET = 'robot'


def next_steps() -> tuple[Step, ...]:
    """Return commands for the user's own photo, recording and camera, ready to paste."""
    program = _program()
    return (
        Step(
            'The networks that come with the package were trained on the demo world only. For '
            f'real images use the full-size ones of preset {_PRESET}, or of preset cpu without a '
            f'GPU. Download them once, about {_megabytes():.0f} MB:',
            f'{program} models pull --preset {_PRESET}',
        ),
        Step('A photo:', f'{program} image photo.jpg --preset {_PRESET}'),
        Step(
            'A rosbag2, a video or a folder of images:',
            f'{program} demo BAG --preset {_PRESET}',
        ),
        Step('A webcam, by its index:', f'{program} demo 0 --preset {_PRESET}'),
        Step(
            'The camera of a robot, in a ROS 2 workspace:',
            'ros2 launch robot_perception perception.launch.py '
            'image:=/camera/color/image_raw rviz:=true',
        ),
    )


def steps_as_text(steps: Iterable[Step]) -> str:
    """Format steps for a terminal."""
    return '\n'.join(f'{step.purpose}\n  {step.command}' for step in steps)


def _program() -> str:
    """Return how to call the program from this shell; ``make`` runs it from an environment."""
    if shutil.which(_PROGRAM) is None and Path(sys.argv[0]).name == _PROGRAM:
        return shlex.quote(sys.argv[0])
    return _PROGRAM


def _megabytes() -> float:
    config = PerceptionConfig.from_preset(_PRESET)
    sections = (config.features, config.depth, config.detector, config.segmenter)
    rows = (find_row(section.model) for section in sections)
    return sum(row.size_mb for row in rows if row is not None)
