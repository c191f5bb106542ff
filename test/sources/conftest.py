from pathlib import Path

import pytest

RECORDINGS = Path(__file__).parents[3] / 'shared' / 'data'


@pytest.fixture
def recordings() -> Path:
    """Folder of the real recordings."""
    if not RECORDINGS.is_dir():
        pytest.skip('needs the real recordings')
    return RECORDINGS
