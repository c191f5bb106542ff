"""The tree of frames of a robot over time, with the answers of tf2 and without ROS."""

from __future__ import annotations

from collections.abc import Iterator

from robot_perception.core.errors import InputError, TransformError
from robot_perception.core.pose import Pose
from robot_perception.core.stamps import NANOSECONDS_PER_SECOND
from robot_perception.core.transforms import History, normalize_frame_id, StampedTransform

# As much as tf2 keeps.
CACHE_S = 10.0
_SHOWN_FRAMES = 20


class TransformBuffer:
    """Remembers transforms, and finds where any frame is in any other at a time.

    For one thread at a time.
    """

    def __init__(self, cache_s: float = CACHE_S) -> None:
        """Start empty.

        Args:
            cache_s: how long moving frames are remembered, seconds, above 0.

        Raises:
            InputError: another length.

        """
        if not 0 < cache_s < float('inf'):
            raise InputError(f'cache_s: expected seconds above 0, got {cache_s}.')
        self._cache_ns = round(cache_s * NANOSECONDS_PER_SECOND)
        self._histories: dict[str, History] = {}
        # Poses of frames that nothing moves against each other; most lookups end here.
        self._rigid: dict[tuple[str, str], Pose] = {}

    def insert(self, transform: StampedTransform, *, static: bool = False) -> None:
        """Keep a transform.

        A child has one parent at a time: a transform from another parent takes it over from its
        stamp on. A child that was static and comes as moving, or the reverse, begins anew.

        Args:
            transform: pose of a child in its parent.
            static: whether it holds at all times, as those of /tf_static do.

        """
        history = self._histories.get(transform.child)
        if history is None or history.is_static != static:
            history = History(None if static else self._cache_ns)
            self._histories[transform.child] = history
            self._rigid.clear()
        elif static:
            self._rigid.clear()
        history.insert(transform)

    def clear(self) -> None:
        """Forget all that moves, as after a jump of time; what is static is told only once."""
        self._histories = {
            child: history for child, history in self._histories.items() if history.is_static
        }

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Pose:
        """Find where a frame is in another.

        Args:
            target: frame in which points are wanted.
            source: frame in which they are.
            stamp_ns: when, nanoseconds; None for the newest time that all transforms in between
                are known for.

        Returns:
            Target from source: ``pose.apply`` carries points of the source over to the target.

        Raises:
            TransformError: a frame is unknown, the two are not joined, a transform between
                them is not known at that time, or frames are parents of each other.

        """
        target, source = normalize_frame_id(target), normalize_frame_id(source)
        if target == source:
            return Pose.identity()
        if (target, source) in self._rigid:
            return self._rigid[target, source]
        down, up = self._branches(target, source, stamp_ns)
        moving = [self._histories[child] for child in (*down, *up)]
        moving = [history for history in moving if not history.is_static]
        if stamp_ns is None:
            stamp_ns = min((history.newest_ns for history in moving), default=0)
        pose = self._climb(down, stamp_ns).inverse().compose(self._climb(up, stamp_ns))
        if not moving:
            self._rigid[target, source] = pose
        return pose

    def _climb(self, children: list[str], stamp_ns: int) -> Pose:
        """Pose of the first of a line of children in the parent of the last."""
        pose = Pose.identity()
        for child in children:
            pose = self._histories[child].pose_at(stamp_ns).compose(pose)
        return pose

    def _branches(
        self, target: str, source: str, stamp_ns: int | None
    ) -> tuple[list[str], list[str]]:
        """Children on the way from either frame up to the first frame above both."""
        for frame in (target, source):
            if frame not in self._histories and frame not in self._parents():
                raise TransformError(
                    'unknown_frame',
                    f'frame {frame!r}: expected one that TF tells of, which are: '
                    f'{self._listed()}. Correct its name, or let its transform be published.',
                )
        above_source = list(self._ancestors(source, stamp_ns))
        above_target = list(self._ancestors(target, stamp_ns))
        shared = next((frame for frame in above_target if frame in above_source), None)
        if shared is None:
            raise TransformError(
                'disconnected',
                f'frames {target!r} and {source!r}: expected one tree, got two: {target!r} hangs '
                f'on {above_target[-1]!r}, {source!r} on {above_source[-1]!r}. Publish the '
                'transform that joins them (static_transform_publisher, robot_state_publisher or '
                'localization).',
            )
        return (
            above_target[: above_target.index(shared)],
            above_source[: above_source.index(shared)],
        )

    def _ancestors(self, frame: str, stamp_ns: int | None) -> Iterator[str]:
        """The frame itself, its parent, and on to the root."""
        seen: set[str] = set()
        while frame not in seen:
            seen.add(frame)
            yield frame
            history = self._histories.get(frame)
            if history is None:
                return
            frame = history.parent_at(stamp_ns)
        raise TransformError(
            'loop',
            f'frame {frame!r}: expected a tree, got a loop of parents through '
            f'{", ".join(sorted(seen))}. Find the publisher that turns one of them round.',
        )

    def _parents(self) -> set[str]:
        return {history.parent_at(None) for history in self._histories.values()}

    def _listed(self) -> str:
        names = sorted(self._parents() | set(self._histories))
        more = f' and {len(names) - _SHOWN_FRAMES} more' if len(names) > _SHOWN_FRAMES else ''
        return (', '.join(names[:_SHOWN_FRAMES]) or 'none') + more
