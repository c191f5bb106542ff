"""A transform tree over time, equivalent to tf2 and independent of ROS."""

from __future__ import annotations

from robot_perception.core.errors import InputError, TransformError
from robot_perception.core.pose import Pose
from robot_perception.core.transforms import (
    History,
    NANOSECONDS_PER_SECOND,
    normalize_frame_id,
    StampedTransform,
)

# The default of tf2.
CACHE_S = 10.0
_SHOWN_FRAMES = 20


class TransformBuffer:
    """Stores transforms, and looks up the transform between any two frames at a time.

    Not thread-safe.
    """

    def __init__(self, cache_s: float = CACHE_S) -> None:
        """Create an empty buffer that keeps transforms of moving frames for ``cache_s`` seconds.

        Raises:
            InputError: reason ``'out_of_range'``.
        """
        if not 0 < cache_s < float('inf'):
            raise InputError('out_of_range', f'cache_s: expected seconds above 0, got {cache_s}.')
        self._cache_ns = round(cache_s * NANOSECONDS_PER_SECOND)
        self._histories: dict[str, History] = {}
        self._frames: set[str] = set()
        # Transforms between frames that do not move relative to each other, by target and source.
        self._rigid: dict[tuple[str, str], Pose] = {}

    def insert(self, transform: StampedTransform, *, static: bool = False) -> None:
        """Add a transform; a static one is valid at all times, as on /tf_static.

        A child has one parent at a time: a transform with another parent replaces the parent from
        its stamp on. A child that changes between static and moving loses its history. An edge
        that was published once in the wrong direction is valid at its stamp alone.
        """
        history = self._histories.get(transform.child)
        if history is None or history.is_static != static:
            history = History(None if static else self._cache_ns)
            self._histories[transform.child] = history
            self._rigid.clear()
        elif static:
            self._rigid.clear()
        history.insert(transform)
        self._frames |= {transform.parent, transform.child}

    def clear(self) -> None:
        """Remove moving transforms, as after a time jump; static ones are published only once."""
        self._histories = {
            child: history for child, history in self._histories.items() if history.is_static
        }
        parents = (history.parent_at(None) for history in self._histories.values())
        self._frames = {*self._histories, *parents}

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Pose:
        """Return target_from_source at a time in nanoseconds; None or 0 for the latest common one.

        Raises:
            TransformError: a frame is unknown, the two are not connected, a transform between
                them is not available at that time, or the tree has a loop.
        """
        target, source = normalize_frame_id(target), normalize_frame_id(source)
        if target == source:
            return Pose.identity()
        if (target, source) in self._rigid:
            return self._rigid[target, source]
        time_ns = stamp_ns or self._latest_common_ns(target, source)
        from_target, from_source = self._branches(target, source, time_ns)
        ancestor_from_target = self._chain(from_target, time_ns)
        ancestor_from_source = self._chain(from_source, time_ns)
        pose = ancestor_from_target.inverse().compose(ancestor_from_source)
        if all(self._histories[child].is_static for child in (*from_target, *from_source)):
            self._rigid[target, source] = pose
        return pose

    def _latest_common_ns(self, target: str, source: str) -> int | None:
        """Return the newest time of all transforms between two frames, None for any time."""
        from_target, from_source = self._branches(target, source, None)
        histories = [self._histories[child] for child in (*from_target, *from_source)]
        # A moving transform without a stamp has none in common with others, as in tf2.
        newest = (one.newest_ns for one in histories if not one.is_static)
        return min(filter(None, newest), default=None)

    def _chain(self, children: list[str], time_ns: int | None) -> Pose:
        """Return the pose of the first of a chain of children in the parent of the last."""
        pose = Pose.identity()
        for child in children:
            pose = self._histories[child].pose_at(time_ns).compose(pose)
        return pose

    def _branches(
        self, target: str, source: str, time_ns: int | None
    ) -> tuple[list[str], list[str]]:
        """Return the children from either frame up to their lowest common ancestor.

        What is above that ancestor does not matter, nor what is above one of the two frames that
        is an ancestor of the other: there, transforms may be missing or have a loop.
        """
        for frame in (target, source):
            if frame not in self._frames:
                raise TransformError(
                    'unknown_frame',
                    f'frame {frame!r}: expected one of those in TF, which are: '
                    f'{self._frame_names()}. Correct its name, or publish its transform.',
                )
        above_target, target_error = self._ancestors(target, time_ns)
        above_source, source_error = self._ancestors(source, time_ns)
        if target in above_source:
            return [], above_source[: above_source.index(target)]
        if source in above_target:
            return above_target[: above_target.index(source)], []
        for error in (source_error, target_error):
            if error is not None and error.reason == 'loop':
                raise error
        shared = next((frame for frame in above_target if frame in above_source), None)
        if shared is None:
            raise (
                target_error
                or source_error
                or TransformError(
                    'disconnected',
                    f'frames {target!r} and {source!r}: expected one tree, got two: the root of '
                    f'{target!r} is {above_target[-1]!r}, that of {source!r} '
                    f'{above_source[-1]!r}. Publish the transform that connects them '
                    '(static_transform_publisher, robot_state_publisher or localization).',
                )
            )
        return (
            above_target[: above_target.index(shared)],
            above_source[: above_source.index(shared)],
        )

    def _ancestors(
        self, frame: str, time_ns: int | None
    ) -> tuple[list[str], TransformError | None]:
        """Return the frame, its parent, and so on, and why they end if not at a root."""
        frames = [frame]
        while (history := self._histories.get(frames[-1])) is not None:
            try:
                parent = history.parent_at(time_ns)
            except TransformError as error:
                return frames, error
            if parent in frames:
                return frames, TransformError(
                    'loop',
                    f'frame {parent!r}: expected a tree, got a loop of parents through '
                    f'{", ".join(sorted(frames[frames.index(parent) :]))}. Find the publisher '
                    'that swaps parent and child.',
                )
            frames.append(parent)
        return frames, None

    def _frame_names(self) -> str:
        names = sorted(self._frames)
        more = f' and {len(names) - _SHOWN_FRAMES} more' if len(names) > _SHOWN_FRAMES else ''
        return (', '.join(names[:_SHOWN_FRAMES]) or 'none') + more
