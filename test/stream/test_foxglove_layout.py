"""The layout for Foxglove shows topics that the node publishes."""

import json
from pathlib import Path
import re

from robot_perception.stream import OUTPUTS

LAYOUT = (Path(__file__).parents[2] / 'config' / 'foxglove.json').read_text(encoding='utf-8')


def panels(layout):
    if isinstance(layout, str):
        return {layout}
    return panels(layout['first']) | panels(layout['second'])


def test_its_topics_are_outputs_of_the_node():
    topics = set(re.findall(r'"/perception/([\w/]+)"', LAYOUT))
    assert topics
    assert topics <= {output.topic for output in OUTPUTS}


def test_every_panel_is_configured_and_shown():
    layout = json.loads(LAYOUT)
    assert panels(layout['layout']) == layout['configById'].keys()
