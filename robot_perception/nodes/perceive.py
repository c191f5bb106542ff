"""The service ``~/perceive``: one whole scene on request."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
import threading
from typing import Any, TypeAlias

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined] # Humble
from rclpy.node import Node
from rclpy.task import Future

from robot_perception.nodes.callback_errors import CallbackErrors, INTERNAL_ERROR
from robot_perception.nodes.messages import camera_topic, message_class

_SERVICE = 'robot_perception/srv/Perceive'
_DEFAULT_TIMEOUT_S, _MAX_TIMEOUT_S = 10.0, 3600.0
# A request that waits for a scene, which is its result; None without one.
SceneRequest: TypeAlias = 'Future[Any]'


class PerceiveService:
    """Answers requests with the scene of the next frame.

    Callbacks add requests; a frame takes those that are open when it begins, and answers them
    when its scene is ready. A frame that is lost leaves them to the next one.
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        errors: CallbackErrors,
        refusal: Callable[[], str],
        problem: Callable[[], str],
    ) -> None:
        """Create the service.

        Args:
            node: the node.
            camera: name of the camera; empty for the only one.
            errors: counts the requests that fail.
            refusal: why no frame is processed in its present state, empty if frames are.
            problem: what is wrong with the frames, empty if nothing is known.

        Raises:
            PerceptionError: the messages of this package are not built.
        """
        self._node = node
        self._name = node.resolve_service_name(camera_topic('~/perceive', camera))
        self._errors = errors
        self._refusal = refusal
        self._problem = problem
        self._lock = threading.Lock()
        self._open: list[SceneRequest] = []
        # Steady time: a request times out under a paused /clock too.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        # In another group than the other callbacks, which would wait for its answer.
        self._group = ReentrantCallbackGroup()
        node.create_service(
            message_class(_SERVICE),
            self._name,
            self._on_request,
            callback_group=self._group,
        )

    def open_requests(self, promised: Collection[SceneRequest] = ()) -> tuple[SceneRequest, ...]:
        """Return the open requests for the frame that begins, without ``promised`` ones."""
        with self._lock:
            return tuple(request for request in self._open if request not in promised)

    def answer(self, requests: Iterable[SceneRequest], scene: object) -> None:
        """Answer those of the requests that are open with a scene."""
        self._resolve(requests, scene)

    def refuse(self) -> int:
        """Answer all open requests, and return how many: no frame is processed any more."""
        return self._resolve(self._open, None)

    def _resolve(self, futures: Iterable[SceneRequest], scene: object) -> int:
        with self._lock:
            resolved = [future for future in futures if future in self._open]
            for future in resolved:
                self._open.remove(future)
                future.set_result(scene)
        # rclpy goes on with the callbacks that wait for them at its next wake-up.
        executor = self._node.executor
        if executor is not None:
            executor.wake()
        return len(resolved)

    async def _on_request(self, request: Any, response: Any) -> Any:  # noqa: ANN401 - generated
        with self._errors.guard(self._name, 'a request'):
            return await self._wait_for_scene(request, response)
        response.success, response.message = False, INTERNAL_ERROR
        return response

    async def _wait_for_scene(self, request: Any, response: Any) -> Any:  # noqa: ANN401
        timeout_s = request.timeout_s or _DEFAULT_TIMEOUT_S
        response.message = self._refusal()
        if not 0 < timeout_s <= _MAX_TIMEOUT_S:
            response.message = f'timeout_s: expected 0 to {_MAX_TIMEOUT_S:g}, got {timeout_s}.'
        if response.message:
            return response
        scene = await self._next_scene(timeout_s)
        if scene is not None:
            response.success, response.scene = True, scene
        else:
            problem = self._problem() or 'see /diagnostics'
            response.message = self._refusal() or f'no scene within {timeout_s:g} s: {problem}'
        return response

    async def _next_scene(self, timeout_s: float) -> object:
        """Return the scene of the next frame, None after the time or if frames end."""
        future: SceneRequest = Future(executor=self._node.executor)

        def expire() -> None:
            self._resolve([future], None)

        with self._lock:
            self._open.append(future)
        timer = self._node.create_timer(timeout_s, expire, self._group, self._steady)
        try:
            return await future
        finally:
            self._node.destroy_timer(timer)
