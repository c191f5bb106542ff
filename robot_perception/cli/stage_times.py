"""Times of the networks on this machine, kept from the last run for ``models list``."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
import json
import os
from pathlib import Path
import statistics

from robot_perception.core import make_folder, OutputError, Scene, Stage, write_bytes
from robot_perception.models import is_demo, STUB
from robot_perception.pipeline import PerceptionConfig

_MILLISECONDS = 1e3


class StageTimes:
    """Collects the time of each network over the frames of a run."""

    def __init__(self) -> None:
        """Start without frames."""
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def add(self, config: PerceptionConfig, scene: Scene) -> None:
        """Add a scene that the networks of a configuration have processed."""
        for stage in Stage:
            model = config.stage(stage).model
            if stage in scene.timing_s and model != STUB and not is_demo(model):
                self._seconds[model].append(scene.timing_s[stage])

    def save(self) -> None:
        """Replace the times of these models; a folder that cannot be written is no error."""
        if not self._seconds:
            return
        times = read_times_ms()
        for model, seconds in self._seconds.items():
            times[model] = round(statistics.median(seconds) * _MILLISECONDS, 1)
        with suppress(OutputError):
            make_folder(_file().parent)
            write_bytes(_file(), json.dumps(times, indent=2, sort_keys=True).encode())


def read_times_ms() -> dict[str, float]:
    """Return the median time of a frame for each model that has run on this machine."""
    try:
        document = json.loads(_file().read_text(encoding='utf-8'))
        return {str(model): float(time) for model, time in document.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _file() -> Path:
    folder = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return Path(folder).expanduser() / 'robot_perception' / 'stage_times.json'
