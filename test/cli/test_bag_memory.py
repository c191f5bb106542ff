"""Processing a recording takes no more memory the longer it gets."""

from bag_memory import growth_kib, seen_alone, write_recording


def test_memory_stays_flat(tmp_path):
    write_recording(tmp_path / 'bag', 1200, (120, 160), raw=True)
    summary, resident = seen_alone(tmp_path / 'bag', tmp_path / 'out')
    assert summary.startswith('1200 images')
    # Pictures take 58 kB: keeping one of four would be seen.
    assert growth_kib(resident) < 10 * 1024, resident
