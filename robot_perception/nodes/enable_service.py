"""The service ``~/enable``: pauses and resumes the processing of frames."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from std_srvs.srv import SetBool

from robot_perception.nodes.callback_errors import CallbackErrors, INTERNAL_ERROR

_SERVICE = '~/enable'


class EnableService:
    """Answers requests to pause and to resume.

    Attributes:
        is_enabled: whether frames are processed.
    """

    def __init__(self, node: Node, errors: CallbackErrors, on_pause: Callable[[], None]) -> None:
        """Create the service; ``on_pause`` is called when frames are no longer processed."""
        self.is_enabled = True
        self._errors, self._on_pause = errors, on_pause
        self._name = node.resolve_service_name(_SERVICE)
        node.create_service(SetBool, self._name, self._on_request)

    @property
    def pause(self) -> str:
        """Why frames are not processed, empty if they are."""
        return '' if self.is_enabled else f'disabled by {_SERVICE}'

    def _on_request(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        response.success, response.message = False, INTERNAL_ERROR
        with self._errors.guard(self._name, 'a request'):
            self.is_enabled = request.data
            if not request.data:
                self._on_pause()
            response.success = True
            response.message = 'frames are processed' if request.data else 'frames are dropped'
        return response
