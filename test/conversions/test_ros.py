"""The definitions of messages for the type checker."""

import pytest

from robot_perception.conversions import ros
from robot_perception.sources import message_store


@pytest.mark.parametrize('message_type', ros.MessageType.__subclasses__(), ids=ros.type_name)
def test_fields_are_those_of_the_message(message_type):
    _, fields = message_store().fielddefs[ros.type_name(message_type)]
    assert list(message_type.__annotations__) == [name for name, _ in fields]
