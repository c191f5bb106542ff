"""Memory does not grow with the length of a recording."""

from bag_memory import growth_kib, process_in_subprocess, write_recording
import pytest


@pytest.mark.slow
def test_memory_stays_flat(tmp_path):
    write_recording(tmp_path / 'bag', 1200, (120, 160), raw=True)
    summary, resident = process_in_subprocess(tmp_path / 'bag', tmp_path / 'out')
    assert summary.startswith('1200 images')
    # Images take 58 kB: the limit detects one of four that is kept.
    assert growth_kib(resident) < 10 * 1024, resident
