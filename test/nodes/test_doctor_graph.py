"""Judgements of the doctor on plain facts, without ROS."""

from dataclasses import replace
from pathlib import Path
import re

import pytest

from robot_perception.nodes import exit_code, sort_causes
from robot_perception.nodes.doctor_causes import ERRORS, WARNINGS
from robot_perception.nodes.doctor_facts import (
    FrameProblem,
    GraphFacts,
    Publisher,
    RunningNode,
    StreamFacts,
)
from robot_perception.nodes.doctor_fastdds import loaded_fastdds
from robot_perception.nodes.doctor_graph import judge_graph

RAW, INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
SECOND = 10**9
STAMPS = tuple(range(100 * SECOND, 110 * SECOND, SECOND // 10))
TIMES_S = tuple(stamp / SECOND for stamp in STAMPS)
IMAGE = StreamFacts('image', '/image', (Publisher('/camera', RAW),), STAMPS, TIMES_S)
CAMERA_INFO = StreamFacts('camera_info', '/info', (Publisher('/camera', INFO),), STAMPS, TIMES_S)
DEPTH = StreamFacts('depth', '/depth', (Publisher('/camera', RAW),), STAMPS, TIMES_S)
HEALTHY = GraphFacts(
    10.0,
    'rmw_fastrtps_cpp',
    nodes=('/camera', '/perception'),
    image_topics=('/image',),
    streams=(IMAGE, CAMERA_INFO, DEPTH),
    frames=50,
    age_s=0.02,
    running=RunningNode('/perception', use_sim_time=False),
)


def judge(**changes):
    return [cause.reason for cause in sort_causes(judge_graph(replace(HEALTHY, **changes)))]


def judge_image(**changes):
    return judge(streams=(replace(IMAGE, **changes), CAMERA_INFO, DEPTH))


def problem(part, count=50, **changes):
    return judge(problems=(FrameProblem(part, 'slug', 'text', count, **changes),))


def test_healthy():
    assert judge() == []
    assert exit_code(()) == 0


def test_no_other_node():
    facts = replace(HEALTHY, nodes=(), environment={'ROS_DOMAIN_ID': '7'})
    (cause,) = judge_graph(facts)
    assert cause.reason == 'empty_graph'
    assert 'ROS_DOMAIN_ID=7' in cause.evidence


def test_missing_inputs():
    nothing = {'publishers': (), 'stamps_ns': (), 'arrivals_s': ()}
    assert judge_image(**nothing) == ['no_publisher']
    # The calibration is looked for beside the images.
    both = (replace(IMAGE, **nothing), replace(CAMERA_INFO, **nothing))
    assert judge(streams=both) == ['no_publisher']
    assert judge(streams=(IMAGE, replace(CAMERA_INFO, **nothing))) == ['no_publisher']


def test_the_color_topic_is_proposed():
    stream = replace(IMAGE, publishers=(), stamps_ns=())
    topics = ('/depth/image_raw', '/front camera/color')
    facts = replace(HEALTHY, streams=(stream,), image_topics=topics)
    (cause,) = judge_graph(facts)
    assert cause.command.endswith("image:='/front camera/color'")


@pytest.mark.parametrize(
    ('publisher', 'middleware', 'reason'),
    [
        (Publisher('/camera', RAW), 'rmw_fastrtps_cpp', 'no_messages'),
        (Publisher('/camera', RAW, is_reliable=False), 'rmw_fastrtps_cpp', 'lost_images'),
        (Publisher('/camera', RAW, is_reliable=False), 'rmw_cyclonedds_cpp', 'no_messages'),
        (
            Publisher('/camera', RAW, is_reliable=False, can_connect=False),
            'rmw_fastrtps_cpp',
            'no_messages',
        ),
    ],
)
def test_silence(publisher, middleware, reason):
    silent = replace(IMAGE, publishers=(publisher,), stamps_ns=(), arrivals_s=())
    assert judge(streams=(silent,), middleware=middleware) == [reason]
    # A publisher that cannot be received from explains the silence; lost images are the same one.
    known = ['lost_images'] if reason == 'lost_images' else ['connections']
    connections = ('/image: expected ...',)
    assert judge(streams=(silent,), middleware=middleware, connections=connections) == known


def test_calibrations_that_differ_are_named_unless_none_arrives():
    doubts = ('/info: the publishers send different calibrations.',)
    assert judge(calibration_doubts=doubts) == ['calibration_doubtful']
    silent = replace(CAMERA_INFO, stamps_ns=(), arrivals_s=())
    assert judge(streams=(IMAGE, silent), calibration_doubts=doubts) == ['no_messages']


def test_a_part_of_the_images_is_lost():
    publishers = (Publisher('/camera', RAW, is_reliable=False),)
    some = {'publishers': publishers, 'stamps_ns': STAMPS[::2], 'arrivals_s': TIMES_S[::2]}
    assert judge_image(**some) == ['lost_images']
    assert judge_image(**some | {'publishers': IMAGE.publishers}) == []
    # The calibrations of another node have another rate.
    other = replace(CAMERA_INFO, publishers=(Publisher('/calibration', INFO),))
    assert judge(streams=(replace(IMAGE, **some), other)) == []


@pytest.mark.parametrize(
    ('stamps', 'reasons'),
    [
        ((0, 0, 0), ['stamps_zero']),
        ((5, 5, 6), ['stamps_equal']),
        ((5, 4, 6), ['stamps_disorder']),
        ((0, 5, 5, 4), ['stamps_zero', 'stamps_equal', 'stamps_disorder']),
        ((5, 6, 7), []),
    ],
)
def test_stamps(stamps, reasons):
    assert judge_image(stamps_ns=stamps, arrivals_s=(0.0, 0.1)) == reasons


def test_stamps_of_calibrations_do_not_matter():
    assert judge(streams=(IMAGE, replace(CAMERA_INFO, stamps_ns=(0, 0)))) == []


def test_a_camera_that_is_not_steady():
    assert judge(camera='the camera is stuck') == ['camera']
    # A slow one is no fault, as for the node.
    assert judge_image(stamps_ns=(1, 2), arrivals_s=(0.0, 5.0)) == []


@pytest.mark.parametrize(
    ('version', 'is_vulnerable'),
    [
        ((2, 6, 11), True),
        ((2, 6, 12), False),
        ((2, 14, 6), True),
        ((2, 14, 7), False),
        ((3, 2, 2), True),
        ((3, 2, 5), False),
        # A branch without further fixes.
        ((3, 4, 3), True),
        ((3, 6, 2), False),
        ((3, 7, 0), False),
        ((4, 0, 0), False),
        (None, False),
    ],
)
def test_versions_of_fast_dds(version, is_vulnerable):
    assert judge(fastdds=version) == ['vulnerable_middleware'] * is_vulnerable


def test_the_package_of_fast_dds():
    def command(version, distribution):
        (cause,) = judge_graph(replace(HEALTHY, fastdds=version, distribution=distribution))
        return cause.command

    assert command((2, 14, 5), 'jazzy').endswith(' ros-jazzy-fastrtps')
    assert command((3, 2, 2), 'kilted').endswith(' ros-kilted-fastdds')
    assert command((3, 2, 2), '') == ''


def test_the_version_of_fast_dds_that_is_loaded(tmp_path):
    maps = tmp_path / 'maps'
    maps.write_text(
        '7f00-7f01 r--p 00000000 00:1d 42 /opt/ros/jazzy/lib/libfastrtps.so.2.14.5\n'
        '7f02-7f03 r--p 00000000 00:1d 43 /opt/ros/jazzy/lib/libfastcdr.so.2.2.5\n'
    )
    assert loaded_fastdds(maps) == (2, 14, 5)
    maps.write_text('7f02-7f03 r--p 00000000 00:1d 43 /opt/ros/jazzy/lib/libfastcdr.so.2.2.5\n')
    assert loaded_fastdds(maps) is None
    assert loaded_fastdds(tmp_path / 'missing') is None
    # As in the wheels, whose library is loaded under the name without the patch version.
    (tmp_path / 'libfastdds.so.3.2.2').touch()
    maps.write_text(f'7f02-7f03 r--p 00000000 00:1d 43 {tmp_path}/libfastdds.so.3.2\n')
    assert loaded_fastdds(maps) == (3, 2, 2)


def test_publishers_and_names():
    assert judge_image(publishers=IMAGE.publishers * 2) == ['several_publishers']
    assert judge(nodes=('/a', '/a', '/b')) == ['duplicate_node']


def test_clocks():
    sim = RunningNode('/perception', use_sim_time=True)
    assert judge(running=sim) == ['sim_time_without_clock']
    assert judge(running=sim, clock_received=True, sim_age_s=0.1, age_s=1e9) == []
    assert judge(running=sim, clock_received=True, sim_age_s=60.0) == ['foreign_clock']
    assert judge(clock_received=True, sim_age_s=0.1) == ['clock_unused']
    assert judge(age_s=60.0) == ['foreign_clock']
    assert judge(age_s=-60.0) == ['foreign_clock']
    # Without a node it is not known which clock it will use.
    assert judge(running=None, clock_received=True, sim_age_s=0.1, age_s=1e9) == []


def test_problems_of_frames():
    assert problem('calibration') == ['calibration']
    assert problem('calibration', is_usable=True) == ['calibration_doubtful']
    assert problem('image') == ['image_rejected']
    assert problem('image', is_usable=True) == ['image_doubtful']
    assert problem('depth') == ['depth']
    assert problem('depth', 20) == ['depth_gaps']
    assert problem('tf') == ['tf']
    # The first images come before their calibration.
    assert problem('calibration', 2) == []


def test_statuses_of_the_node_that_nothing_else_explains():
    statuses = (('model', 2, 'failed'), ('frames', 3, 'no image'), ('depth', 0, 'fine'))
    running = replace(HEALTHY.running, statuses=statuses)
    assert judge(running=running) == ['node_error', 'node_warning']
    silent = replace(IMAGE, stamps_ns=(), arrivals_s=())
    assert judge(running=running, streams=(silent,)) == ['no_messages', 'node_error']


def test_statuses_that_a_cause_explains():
    def judge_status(name, **changes):
        statuses = ((name, 1, 'text'),)
        return judge(running=RunningNode('/perception', statuses=statuses), **changes)

    assert judge_status('frames', camera='the camera is stuck') == ['camera']
    for stamps, reason in (((0, 0), 'stamps_zero'), ((5, 5, 6), 'stamps_equal')):
        streams = (replace(IMAGE, stamps_ns=stamps),)
        assert judge_status('clock', streams=streams) == [reason]
    assert judge_status('clock') == ['node_warning']


def test_exit_codes_and_order():
    causes = judge_graph(replace(HEALTHY, nodes=('/a', '/a'), connections=('/image: no',)))
    ordered = sort_causes((*causes[::-1], *causes))
    assert [cause.reason for cause in ordered] == ['connections', 'duplicate_node']
    assert exit_code(ordered) == 1
    assert exit_code(ordered[1:]) == 3


def test_the_table_in_the_docs():
    page = Path(__file__).parents[2] / 'docs' / 'doctor.md'
    row = r'^\| `(\w+)` \| (error|warning) \| (.*) \|$'
    rows = re.findall(row, page.read_text('utf-8'), re.MULTILINE)
    assert rows == [
        *((reason, 'error', text) for reason, text in ERRORS.items()),
        *((reason, 'warning', text) for reason, text in WARNINGS.items()),
    ]
