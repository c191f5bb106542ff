"""The service ``~/set_prompts``: sets the parameter ``detector.prompts`` from a list."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from robot_perception.nodes.callback_errors import CallbackErrors, INTERNAL_ERROR
from robot_perception.nodes.messages import message_class

_SERVICE, _PARAMETER = 'robot_perception/srv/SetPrompts', 'detector.prompts'


class PromptsService:
    """Answers requests to detect something else."""

    def __init__(self, node: Node, errors: CallbackErrors) -> None:
        """Create the service of a node that has the parameter.

        Raises:
            PerceptionError: the messages of this package are not built.
        """
        self._node, self._errors = node, errors
        self._name = node.resolve_service_name('~/set_prompts')
        node.create_service(message_class(_SERVICE), self._name, self._on_request)

    def _on_request(self, request: Any, response: Any) -> Any:  # noqa: ANN401 - generated
        response.success, response.message = False, INTERNAL_ERROR
        with self._errors.guard(self._name, 'a request'):
            response.message = _problem(request.prompts)
            if not response.message:
                value = Parameter(_PARAMETER, value=', '.join(request.prompts))
                (result,) = self._node.set_parameters([value])
                response.success, response.message = result.successful, result.reason
        return response


def _problem(prompts: list[str]) -> str:
    """Return why prompts cannot be a value of the parameter, empty if they can."""
    for index, prompt in enumerate(prompts):
        if not prompt.strip() or ',' in prompt:
            found = 'one with a comma' if ',' in prompt else 'an empty one'
            return (
                f'prompts: expected words without commas, got {found} at index {index}. Give one '
                'prompt for each class.'
            )
    return ''
