"""The memory that a network may use."""

from pathlib import Path

import psutil

from robot_perception.models import memory


def test_the_machine_has_it():
    found = memory.available_bytes()
    assert 0 < found <= psutil.virtual_memory().total


def test_a_container_has_less(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, '_CGROUP', tmp_path)
    (tmp_path / 'memory.max').write_text('max\n')
    (tmp_path / 'memory.current').write_text('600\n')
    (tmp_path / 'memory.stat').write_text('anon 500\ninactive_file 100\n')
    assert memory.available_bytes() > 10**6
    (tmp_path / 'memory.max').write_text('1000\n')
    assert memory.available_bytes() == 1000 - 600 + 100
    (tmp_path / 'memory.stat').unlink()
    assert memory.available_bytes() > 10**6


def test_without_cgroups(monkeypatch):
    monkeypatch.setattr(memory, '_CGROUP', Path('/nowhere'))
    assert memory.available_bytes() > 10**6
