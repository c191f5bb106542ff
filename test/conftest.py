from pathlib import Path

import pytest

RECORDINGS = Path(__file__).parents[2] / 'shared' / 'data'


@pytest.fixture(scope='session')
def recordings() -> Path:
    """Folder of the real recordings, which lies beside a checkout and not in it."""
    if not RECORDINGS.is_dir():
        pytest.skip('needs the real recordings')
    return RECORDINGS
