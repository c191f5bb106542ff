"""The action ``~/ask``: answers to questions about the newest image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import threading
import time
from typing import Any

from rclpy.action.server import ActionServer, CancelResponse, ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from robot_perception.conversions import detections_2d_message, header_message, Message
from robot_perception.core import Answer, Detections, Image, InputError, PerceptionError
from robot_perception.nodes.callback_errors import CallbackErrors, INTERNAL_ERROR
from robot_perception.nodes.messages import camera_topic, message_class, RosMessages
from robot_perception.pipeline import DescriberProcess, PerceptionConfig, Question
from robot_perception.stream import ImageReader

_ACTION = 'robot_perception/action/Ask'
# A camera that is slower is named with the answer.
_RECENT_S = 2.0

# An image, its tracked objects, and when they were published, monotonic seconds.
TrackedImage = tuple[Image, Detections, float]


class AskAction:
    """Answers questions about the images of a camera, each on a thread of its own.

    The thread only waits for the process that answers, so that frames go on.
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        errors: CallbackErrors,
        describer: DescriberProcess,
        *,
        refusal: Callable[[], str],
        config: Callable[[], PerceptionConfig],
        tracked: Callable[[], TrackedImage | None],
    ) -> None:
        """Create the action.

        Args:
            node: the node.
            camera: name of the camera; empty for the only one.
            errors: counts the questions that fail.
            describer: answers the questions of all cameras.
            refusal: why no image is taken in the node's present state, empty if images are.
            config: returns the parameters in force.
            tracked: returns the last image with its objects; None if none are computed.

        Raises:
            PerceptionError: the messages of this package are not built.
        """
        self._node = node
        self._errors = errors
        self._describer = describer
        self._refusal = refusal
        self._config = config
        self._tracked = tracked
        self._reader = ImageReader()
        self._newest: tuple[Message, float] | None = None
        self._type = message_class(_ACTION)
        self._name = node.resolve_service_name(camera_topic('~/ask', camera))
        self._server = ActionServer(
            node,
            self._type,
            self._name,
            self._execute,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            # In another group than the other callbacks, which would wait for its answer.
            callback_group=ReentrantCallbackGroup(),
        )

    def add_image(self, message: Message) -> None:
        """Take the newest image."""
        self._newest = message, time.monotonic()

    def discard_images(self) -> None:
        """Drop the newest image, as after a time jump."""
        self._newest = None

    def destroy(self) -> None:
        """Remove the action from the node."""
        self._server.destroy()

    async def _execute(self, goal: ServerGoalHandle[Any, Any, Any]) -> Any:  # noqa: ANN401
        with self._errors.guard(self._name, 'a question'):
            return await self._wait_for_answer(goal)
        goal.abort()
        return self._type.Result(success=False, message=INTERNAL_ERROR)

    async def _wait_for_answer(self, goal: ServerGoalHandle[Any, Any, Any]) -> Any:  # noqa: ANN401
        future: Future[Any] = Future(executor=self._node.executor)
        start_s = time.monotonic()
        texts = ['']

        def work() -> None:
            try:
                future.set_result(self._answer(goal, texts))
            # It is raised, or answered, by the executor.
            except BaseException as error:  # noqa: BLE001
                future.set_result(error)
            # rclpy goes on with the callback that waits for it at its next wake-up.
            executor = self._node.executor
            if executor is not None:
                executor.wake()

        threading.Thread(target=work, name='ask', daemon=True).start()
        outcome: Any = await future
        if isinstance(outcome, PerceptionError):
            if goal.is_cancel_requested:
                goal.canceled()
            else:
                goal.abort()
            return self._type.Result(
                success=False,
                message=str(outcome),
                answer=texts[-1],
                duration_s=time.monotonic() - start_s,
            )
        if isinstance(outcome, BaseException):
            raise outcome
        image, answer = outcome
        goal.succeed()
        return self._to_result(image, answer)

    def _answer(
        self, goal: ServerGoalHandle[Any, Any, Any], texts: list[str]
    ) -> tuple[Image, Answer]:
        """Answer a question; for a thread of its own.

        Args:
            goal: the question.
            texts: receives the answer so far, after each token.

        Raises:
            PerceptionError: there is no answer.
        """
        refusal = self._refusal()
        if refusal:
            raise InputError('not_active', refusal)
        config, request = self._config(), goal.request
        question, age_s = self._question(request, config)

        def show(text: str) -> None:
            texts.append(text)
            goal.publish_feedback(self._type.Feedback(answer=text))

        answer = self._describer.ask(
            config, question, on_text=show, is_cancelled=lambda: bool(goal.is_cancel_requested)
        )
        if age_s > _RECENT_S:
            note = f'{answer.note} the newest image arrived {age_s:.0f} s before the question.'
            answer = replace(answer, note=note.lstrip())
        if answer.note:
            self._node.get_logger().warning(f'{self._name}: {answer.note}')
        return question.image, answer

    def _question(self, request: Message, config: PerceptionConfig) -> tuple[Question, float]:
        """Return a question, and the age of its image in seconds."""
        roi = request.region
        if request.track_id:
            if roi.width or roi.height:
                raise InputError(
                    'two_regions',
                    'region and track_id: expected one of them, got both. Leave one out.',
                )
            return self._question_about(request.question, request.track_id)
        if self._newest is None:
            raise InputError(
                'no_image', 'no image has arrived yet: start the camera, see /diagnostics.'
            )
        message, received_s = self._newest
        image = self._reader.read(message, config.input)
        if config.camera.frame_id:
            image = replace(image, frame_id=config.camera.frame_id)
        region = None
        if roi.width or roi.height:
            left, top = float(roi.x_offset), float(roi.y_offset)
            region = left, top, left + roi.width, top + roi.height
        return Question(request.question, image, region), time.monotonic() - received_s

    def _question_about(self, text: str, track: str) -> tuple[Question, float]:
        tracked = self._tracked()
        if tracked is None:
            raise InputError(
                'no_tracks',
                f'track_id: expected objects to be tracked, got {track!r} while they are not. '
                'Subscribe to ~/detections or ~/scene, with tracking.enabled.',
            )
        image, detections, published_s = tracked
        tracks = {str(item.track_id): item.box_xyxy for item in detections}
        if track not in tracks:
            raise InputError(
                'unknown_track',
                f'track_id: expected an object of the newest frame '
                f'({", ".join(tracks) or "which has none"}), got {track!r}.',
            )
        return Question(text, image, tracks[track]), time.monotonic() - published_s

    def _to_result(self, image: Image, answer: Answer) -> Any:  # noqa: ANN401 - generated
        factory = RosMessages()
        header = header_message(factory, image.stamp_ns, image.frame_id)
        return self._type.Result(
            success=True,
            message=answer.note,
            answer=answer.text,
            detections=detections_2d_message(factory, header, answer.detections),
            header=header,
            duration_s=answer.duration_s,
        )
