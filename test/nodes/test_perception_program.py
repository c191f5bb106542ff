"""The program that `ros2 run` starts: startup, signals and exit codes."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip('rclpy')

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from robot_perception.nodes.child import free_domain
from robot_perception.nodes.messages import message_class

pytestmark = pytest.mark.ros

START_S, END_S = 60, 10
MAIN = 'from robot_perception.nodes.perception_node import main; raise SystemExit(main())'
# Slow loading of networks, also when a signal shuts ROS down meanwhile.
SLOW_MAIN = """
import sys, time, rclpy
from robot_perception.pipeline import PerceptionPipeline
load = PerceptionPipeline.load
def slow(config, prompts):
    print('loading', file=sys.stderr, flush=True)
    end = time.monotonic() + 60
    while rclpy.ok() and time.monotonic() < end:
        time.sleep(0.01)
    return load(config)
PerceptionPipeline.load = slow
from robot_perception.nodes.perception_node import main
raise SystemExit(main())
"""


@pytest.fixture
def start(tmp_path):
    """Start the program; it is killed after the test."""
    started = []

    def run(*arguments, code=MAIN, domain=None):
        environment = {
            'ROS_DOMAIN_ID': str(domain or free_domain()),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        }
        program = subprocess.Popen(
            [sys.executable, '-c', code, '--ros-args', '-p', 'preset:=stub', *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        watchdog = threading.Timer(START_S, program.kill)
        watchdog.start()
        started.append((program, watchdog))
        return program

    yield run
    for program, watchdog in started:
        watchdog.cancel()
        program.kill()
        program.communicate()


def wait_for(program, words):
    """Read the output of the program up to the line with ``words``."""
    output = []
    for line in program.stderr:
        output.append(line)
        if words in line:
            return ''.join(output)
    raise AssertionError(f'expected {words!r}, got: {output}')


def end_by(program, number):
    program.send_signal(number)
    _, errors = program.communicate(timeout=END_S)
    assert 'Traceback' not in errors
    assert 'Exception ignored' not in errors
    return program.returncode


SIGNALS = pytest.mark.parametrize(
    'number', [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name
)


@SIGNALS
def test_a_signal_ends_it_cleanly(start, number):
    program = start()
    output = wait_for(program, 'configured')
    assert 'configured: stub preset on auto; listening to /image' in output
    assert end_by(program, number) == 0


@SIGNALS
def test_a_signal_answers_requests_that_wait(start, number, monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    domain, context = free_domain(), Context()
    program = start(domain=domain)
    wait_for(program, 'configured')
    rclpy.init(args=[], context=context, domain_id=domain)
    asking = rclpy.create_node('asking', context=context)
    service = message_class('robot_perception/srv/Perceive')
    client = asking.create_client(service, '/perception/perceive')
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(asking)
    try:
        assert client.wait_for_service(START_S)
        answers = [client.call_async(service.Request(timeout_s=60.0)) for _ in range(2)]
        executor.spin_once(timeout_sec=1.0)
        assert end_by(program, number) == 0
        for answer in answers:
            executor.spin_until_future_complete(answer, timeout_sec=END_S)
            assert answer.result().message == 'the node ends: start it again.'
    finally:
        executor.shutdown()
        asking.destroy_node()
        rclpy.try_shutdown(context=context)


@SIGNALS
def test_a_signal_while_networks_load_ends_it_cleanly(start, number):
    program = start(code=SLOW_MAIN)
    wait_for(program, 'loading')
    assert end_by(program, number) == 0


def test_without_its_networks_it_keeps_running(start):
    program = start('-p', 'detector.model:=/no/such/folder')
    output = wait_for(program, 'cannot configure')
    assert (
        "detector.model: expected stub, demo, a folder or an id of the Hugging Face Hub; got '/no"
        in output
    )
    assert program.poll() is None
    assert end_by(program, signal.SIGTERM) == 0


def test_remapped_topics_are_logged(start):
    program = start('-r', 'image:=/front/image_raw')
    assert 'listening to /front/image_raw' in wait_for(program, 'configured')
    assert end_by(program, signal.SIGINT) == 0


@pytest.mark.parametrize(
    ('arguments', 'output'),
    [
        (
            ['-p', 'detector.threshold:=7.0'],
            'detector.threshold: expected 0 to 1, got 7.0',
        ),
        (['-p', 'detector.max_objects:=many'], "detector.max_objects: expected int, got 'many'"),
        (['-p', 'precision:=int4'], r"precision: expected one of \['auto', .*got 'int4'"),
        (
            ['-p', 'preset:=rowboat'],
            "Unknown preset 'rowboat'. Available: robot, cpu, words, demo, stub",
        ),
        (['--bogus'], r"perception: bad ROS arguments: \['--bogus'\]"),
    ],
    ids=['range', 'type', 'choice', 'preset', 'argument'],
)
def test_bad_arguments_end_it_with_2(start, arguments, output):
    program = start(*arguments)
    _, errors = program.communicate(timeout=START_S)
    assert program.returncode == 2, errors
    assert 'Traceback' not in errors
    assert re.search(output, errors), errors


def test_security_without_keys_ends_it_with_the_remedy(start, monkeypatch):
    monkeypatch.setenv('ROS_SECURITY_ENABLE', 'true')
    monkeypatch.setenv('ROS_SECURITY_STRATEGY', 'Enforce')
    program = start()
    _, errors = program.communicate(timeout=START_S)
    assert program.returncode == 2, errors
    assert 'Traceback' not in errors
    assert 'ROS_SECURITY_KEYSTORE has to name a keystore' in errors


@SIGNALS
def test_more_signals_than_one_end_it_with_0(start, number):
    program = start()
    wait_for(program, 'configured')
    # As a terminal and launch send it both, or an impatient user.
    while program.poll() is None:
        program.send_signal(number)
        time.sleep(0.01)
    assert program.returncode == 0
