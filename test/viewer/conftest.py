from contextlib import contextmanager
import resource

import pytest


@pytest.fixture
def full_disk():
    """Give a block in which no file can grow beyond the bytes asked for."""

    @contextmanager
    def limited(size_bytes):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited
