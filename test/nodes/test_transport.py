"""The transport profile: set unless the user has set one, and large enough."""

import fcntl
import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from robot_perception.nodes.transport import enlarge_shared_memory, remove_stale_segments

PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE'
NAMESPACE = {'dds': 'http://www.eprosima.com'}


@pytest.fixture
def environment(monkeypatch):
    """An environment of the test's own."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith('FAST')}
    plain.pop('ROS_DISTRO', None)
    monkeypatch.setattr(os, 'environ', plain)
    monkeypatch.setattr(os, 'statvfs', lambda _: Space(2**30))
    return plain


class Space:
    """A file system with so many bytes left."""

    def __init__(self, size_bytes):
        self.f_bavail, self.f_frsize = size_bytes // 4096, 4096


def test_our_profile_is_chosen(environment):
    enlarge_shared_memory()
    assert Path(environment[PROFILES]).is_file()


def test_a_container_with_little_shared_memory_is_left_alone(environment, monkeypatch):
    monkeypatch.setattr(os, 'statvfs', lambda _: Space(64 * 2**20))
    before = dict(environment)
    enlarge_shared_memory()
    assert environment == before


def test_older_distributions_know_the_older_name(environment):
    environment['ROS_DISTRO'] = 'humble'
    enlarge_shared_memory()
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' in environment
    assert PROFILES not in environment


@pytest.mark.parametrize(
    'choice', [PROFILES, 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_BUILTIN_TRANSPORTS']
)
def test_a_choice_of_the_user_is_respected(environment, choice):
    environment[choice] = 'theirs'
    before = dict(environment)
    enlarge_shared_memory()
    assert environment == before


def test_a_raw_image_fits_in_one_piece(environment):
    enlarge_shared_memory()
    root = ET.parse(environment[PROFILES]).getroot()  # noqa: S314 - our own file
    (memory,) = (
        one
        for one in root.iterfind('.//dds:transport_descriptor', NAMESPACE)
        if one.findtext('dds:type', namespaces=NAMESPACE) == 'SHM'
    )
    largest = int(memory.findtext('dds:maxMessageSize', namespaces=NAMESPACE))
    segment = int(memory.findtext('dds:segment_size', namespaces=NAMESPACE))
    cloud_of_a_camera = 640 * 480 * 16
    assert largest > 3 * cloud_of_a_camera
    assert segment >= 4 * largest


def test_the_profile_names_only_transports_that_it_describes(environment):
    enlarge_shared_memory()
    root = ET.parse(environment[PROFILES]).getroot()  # noqa: S314 - our own file
    described = [
        one.text
        for one in root.iterfind('.//dds:transport_descriptor/dds:transport_id', NAMESPACE)
    ]
    used = [one.text for one in root.iterfind('.//dds:userTransports/dds:transport_id', NAMESPACE)]
    assert sorted(described) == sorted(used)
    # Without the second one peers on other machines would receive nothing.
    types = [one.text for one in root.iterfind('.//dds:transport_descriptor/dds:type', NAMESPACE)]
    assert sorted(types) == ['SHM', 'UDPv4']


def test_segments_of_dead_processes_are_removed_and_no_other(tmp_path):
    names = ('fastdds_0123456789abcdef', 'fastdds_aaaaaaaaaaaaaaaa', 'fastrtps_port7411')
    for name in names:
        for suffix in ('', '_el'):
            (tmp_path / f'{name}{suffix}').write_bytes(b'x')
            os.utime(tmp_path / f'{name}{suffix}', (0, 0))
    for name in ('fastdds_bbbbbbbbbbbbbbbb', 'fastdds_bbbbbbbbbbbbbbbb_el', 'another_el'):
        (tmp_path / name).write_bytes(b'x')
    (tmp_path / 'sem.fastrtps_port7411_mutex').write_bytes(b'x')
    with (tmp_path / f'{names[0]}_el').open('rb') as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        assert remove_stale_segments(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'another_el',
        names[0],
        f'{names[0]}_el',
        'fastdds_bbbbbbbbbbbbbbbb',  # Too young.
        'fastdds_bbbbbbbbbbbbbbbb_el',
    ]
    assert remove_stale_segments(tmp_path / 'missing') == 0
