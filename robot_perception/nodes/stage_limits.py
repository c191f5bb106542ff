"""Limits on the time of a stage, from the times that it took before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from robot_perception.pipeline import PIPELINE, TimingWindow

# A stage is late after the larger of a number of seconds and a multiple of its 99th percentile.
_LATE = (2.0, 3.0)
_HANGS = (5.0, 10.0)
# The first frame of a network includes compilation and the choice of algorithms.
_FIRST_HANGS_S = 60.0
# Compilation for another runtime takes minutes on a busy machine, as do many texts.
_LONG_HANGS_S = 900.0
_FIRST = 'its first run takes longer'
_FRAMES = 500


@dataclass(frozen=True, slots=True)
class LateStage:
    """A stage that takes longer than it should.

    Attributes:
        stage: its name.
        seconds: since it began.
        hangs: whether it is not expected to end.
        why: reason for which it may take longer; empty if there is none.
    """

    stage: str
    seconds: float
    hangs: bool
    why: str = ''

    def __str__(self) -> str:
        """Name the stage and its time."""
        text = f'{self.stage} has run for {self.seconds:.0f} s'
        return f'{text}: {self.why}' if self.why and not self.hangs else text


class StageLimits:
    """Keeps the times of the stages; thread-safe."""

    def __init__(self) -> None:
        """Start without times."""
        self._window = TimingWindow(_FRAMES)

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add the times of a frame that ended."""
        self._window.record(seconds)

    def find_late(self, running: Mapping[str, float], *, why: str = '') -> LateStage | None:
        """Return the stage that is late, None if there is none.

        Args:
            running: stages that have begun and not ended -> seconds since then.
            why: reason for which a stage may take minutes; empty if there is none.
        """
        # Outside of its stages the pipeline only waits, perhaps for one on another thread.
        stages = {name: s for name, s in running.items() if name != PIPELINE} or running
        for stage, seconds in sorted(stages.items(), key=lambda item: -item[1]):
            if seconds <= _LATE[0]:
                return None  # nor are those that began later
            usual_s = self._window.p99_s(stage)
            late_s, hangs_s = (
                max(least_s, factor * (usual_s or 0.0)) for least_s, factor in (_LATE, _HANGS)
            )
            if usual_s is None:
                hangs_s = _FIRST_HANGS_S
            if why:
                hangs_s = max(hangs_s, _LONG_HANGS_S)
            if seconds > late_s:
                why = why or (_FIRST if usual_s is None else '')
                return LateStage(stage, seconds, seconds > hangs_s, why)
        return None
