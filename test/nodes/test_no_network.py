"""The node uses no network but that of DDS, which does not use Python's sockets."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

pytest.importorskip('rclpy')

pytestmark = [pytest.mark.ros, pytest.mark.slow]

# Prints every use of a socket by Python code, then starts, loads the networks and runs a frame.
PROGRAM = """
import socket, sys
uses = ('socket.connect', 'socket.sendto', 'socket.sendmsg', 'socket.getaddrinfo',
        'socket.gethostbyname', 'urllib.Request')
sys.addaudithook(lambda event, values: event in uses and print(event, *values, flush=True))
from graph import Graph, random_rgb, RELIABLE, to_image_message
graph = Graph()
graph.start('demo')
image = graph.publisher('image', 'sensor_msgs/msg/Image', RELIABLE)
graph.subscribe_outputs('scene')
graph.connect(image)
image.publish(to_image_message(random_rgb()))
graph.spin_until(lambda: graph.received['scene'], 'scene')
graph.close()
print('end', flush=True)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))
"""


def test_no_socket_is_used_from_start_to_end(monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    monkeypatch.setenv('PYTHONPATH', str(Path(__file__).parents[1]), prepend=os.pathsep)
    program = subprocess.run(
        [sys.executable, '-c', PROGRAM],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    # The last use shows that uses are noticed.
    end, control = program.stdout.splitlines()
    assert end == 'end'
    assert control.startswith('socket.connect')
