"""A budget of the age of results, held by computing less."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
import math
from statistics import median
import threading
import time

from robot_perception.core import Stage
from robot_perception.pipeline.config import PerceptionConfig

# Results that are judged together at least, and the share of them that may be too old.
_WINDOW, _MAX_LATE = 20, 0.1
# The share of more results that may be much too old, so that the 95th percentile of the age stays
# below that even where single results are late again and again.
_LONG_WINDOW, _MAX_MUCH_LATE, _MUCH_LATE = 60, 0.05, 1.1
# Less is given up when results have so much to spare for so many seconds, slow frames included.
_SPARE, _CLIMB_S, _LONGEST_CLIMB_S = 0.9, 5.0, 160.0
# Results and seconds after which an attempt to give up less has succeeded.
_PROVEN, _PROVEN_S = 60, 30.0
# Results appear at least this often, however old they are.
_LONGEST_SILENCE_S = 1.0
# Beyond this the stamps are those of another clock, and no measure of the age.
_FOREIGN_CLOCK_S = 10.0


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung of the ladder: what is given up.

    Attributes:
        name: for programs; empty where nothing is given up.
        every_k: masks and features are computed on every k-th frame at most.
        small_inputs: whether networks compute smaller inputs.
        drops: whether frames are dropped that would be too old when they are done.
    """

    name: str
    every_k: int = 1
    small_inputs: bool = False
    drops: bool = False

    @property
    def window(self) -> int:
        """Results that are judged together: two with masks and features, or more."""
        return max(_WINDOW, 2 * self.every_k)

    def __str__(self) -> str:
        """Describe what is given up, empty where nothing is."""
        if not self.name:
            return ''
        parts = [f'masks and features on one of {self.every_k} frames']
        if self.small_inputs:
            parts.append('smaller inputs of networks')
        if self.drops:
            parts.append('frames dropped that would be too old')
        return ', '.join(parts)


LADDER = (
    Rung(''),
    Rung('every_2', 2),
    Rung('every_4', 4),
    # Fewer than 5 % of the frames are slow.
    Rung('every_30', 30),
    Rung('small_inputs', 30, small_inputs=True),
    Rung('drop', 30, small_inputs=True, drops=True),
)
"""What is given up, from nothing to most; each rung with all of those before it."""
_LADDER_OF_ONE_SIZE = tuple(
    replace(rung, small_inputs=False) for rung in LADDER if rung.drops or not rung.small_inputs
)


@dataclass(frozen=True, slots=True)
class FrameBegin:
    """Begin of a frame.

    Attributes:
        age_s: its age then; NaN = unknown.
        time_s: when, by the clock of the budget.
        rung: what it goes without.
    """

    age_s: float
    time_s: float
    rung: Rung


class AgeBudget:
    """Chooses the rung of `LADDER` on which results are not older than a maximum.

    It takes the next rung when more than a tenth of the last results was too old, or a twentieth
    by a tenth of the maximum, and the one before when all results of 5 s had a tenth to spare;
    after an attempt that fails, of twice as many seconds.
    Thread-safe: frames may end on another thread than the one on which they begin.

    Attributes:
        is_exceeded: whether results are too old on the last rung.
    """

    def __init__(
        self, *, has_small_inputs: bool, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Start on the first rung.

        Args:
            has_small_inputs: whether networks are prepared for smaller inputs; otherwise that rung
                is left out.
            now_s: clock in seconds.
        """
        self.is_exceeded = False
        self._ladder = LADDER if has_small_inputs else _LADDER_OF_ONE_SIZE
        self._now_s = now_s
        self._lock = threading.Lock()
        self._level = 0
        self._max_age_s = 0.0
        self._climb_s = _CLIMB_S
        self._is_attempt = False
        self._result_s = -math.inf
        self._reduced: tuple[PerceptionConfig, Rung, PerceptionConfig] | None = None
        # On this rung: ages of the last results, the times of their frames, their number, when it
        # was taken, and since when all have time to spare.
        self._ages_s: deque[float] = deque(maxlen=_LONG_WINDOW)
        self._frames_s: deque[float] = deque(maxlen=_WINDOW)
        self._results = self._spare_results = 0
        self._entered_s = self._spare_since_s = now_s()

    @property
    def rung(self) -> Rung:
        """What is given up at present."""
        return self._ladder[self._level]

    def describe(self) -> str:
        """Describe what is given up, and whether that is enough; empty where nothing is."""
        text = str(self.rung)
        return f'{text}, which is not enough' if self.is_exceeded else text

    def begin(self, age_s: float, max_age_s: float) -> FrameBegin | None:
        """Begin a frame; return None if it is not worth processing.

        Args:
            age_s: its age now; NaN = unknown.
            max_age_s: maximum age of its results; 0 = unlimited.
        """
        with self._lock:
            if max_age_s != self._max_age_s:
                self._max_age_s, self._climb_s, self._is_attempt = max_age_s, _CLIMB_S, False
                self.is_exceeded = False
                self._enter(0)
            begin = FrameBegin(age_s, self._now_s(), self.rung)
            if not self.rung.drops or begin.time_s - self._result_s > _LONGEST_SILENCE_S:
                return begin
            expected_s = median(self._frames_s) if self._frames_s else 0.0
            # A frame of unknown age is kept.
            if not age_s + expected_s > max_age_s:
                return begin
            self._lack_time()
            return None

    def reduce(self, config: PerceptionConfig, rung: Rung) -> PerceptionConfig:
        """Return the parameters of a frame on a rung; for the thread on which frames begin."""
        if rung == LADDER[0]:
            return config
        if self._reduced is None or self._reduced[:2] != (config, rung):
            changes: dict[str, object] = {
                f'{stage}.every_k': max(rung.every_k, config.stage(stage).every_k)
                for stage in (Stage.FEATURES, Stage.SEGMENTER)
            }
            changes['small_inputs'] = rung.small_inputs or config.small_inputs
            self._reduced = config, rung, config.with_values(changes)
        return self._reduced[2]

    def end(self, begin: FrameBegin, age_s: float) -> None:
        """End a frame whose results were published at this age; NaN = unknown."""
        with self._lock:
            self._end(begin, age_s)

    def _end(self, begin: FrameBegin, age_s: float) -> None:
        self._result_s = self._now_s()
        if not self._max_age_s or not 0 <= age_s <= _FOREIGN_CLOCK_S:
            return
        # Of frames that begin together, all were computed on the rung of that time.
        if begin.time_s < self._entered_s:
            return
        self._results += 1
        self._frames_s.append(age_s - begin.age_s)
        self._ages_s.append(age_s)
        seconds = self._now_s() - self._entered_s
        if self._is_attempt and self._results > _PROVEN and seconds > _PROVEN_S:
            self._is_attempt, self._climb_s = False, _CLIMB_S
        if age_s > _SPARE * self._max_age_s:
            self._lack_time()
        else:
            self._spare_results += 1
        if self._is_late():
            self._give_up_more()
        else:
            self._give_up_less()

    def _is_late(self) -> bool:
        """Return whether too many of the last results were too old."""
        window = self.rung.window
        late = sum(age_s > self._max_age_s for age_s in [*self._ages_s][-window:])
        much_late = sum(age_s > _MUCH_LATE * self._max_age_s for age_s in self._ages_s)
        return late > _MAX_LATE * window or much_late > _MAX_MUCH_LATE * _LONG_WINDOW

    def _lack_time(self) -> None:
        self._spare_results, self._spare_since_s = 0, self._now_s()

    def _give_up_more(self) -> None:
        if self._level == len(self._ladder) - 1:
            self.is_exceeded = True
            return
        if self._is_attempt:
            self._is_attempt, self._climb_s = False, min(2 * self._climb_s, _LONGEST_CLIMB_S)
        self._enter(self._level + 1)

    def _give_up_less(self) -> None:
        """Take the rung before, if even frames with masks and features have time to spare."""
        self.is_exceeded = False
        seconds = self._now_s() - self._spare_since_s
        is_enough = self._spare_results >= self.rung.window and seconds >= self._climb_s
        if self._level and is_enough:
            self._is_attempt = True
            self._enter(self._level - 1)

    def _enter(self, level: int) -> None:
        """Take a rung, on which earlier results do not count."""
        self._level = level
        self._results, self._entered_s = 0, self._now_s()
        self._ages_s.clear()
        self._frames_s.clear()
        self._lack_time()
