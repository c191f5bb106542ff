from contextlib import contextmanager
from pathlib import Path
import resource
import signal

import pytest

RECORDINGS = Path(__file__).parents[2] / 'shared' / 'data'


@pytest.fixture(scope='session')
def recordings() -> Path:
    """Folder of the real recordings, which is beside a checkout and not in it."""
    if not RECORDINGS.is_dir():
        pytest.skip('needs the real recordings')
    return RECORDINGS


@pytest.fixture
def full_disk():
    """Return a context manager in which no file can grow beyond a number of bytes."""

    @contextmanager
    def limited(size_bytes):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


def pytest_collection_modifyitems(items):
    """Mark tests of commands and of the wheel as slow: each starts a process."""
    for item in items:
        if {'command', 'wheel', 'rendered'}.intersection(getattr(item, 'fixturenames', ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope='session')
def interruptible():
    """Let SIGINT interrupt this process and those it starts, where the caller ignores it too.

    A shell starts background jobs (``make test &``) with SIGINT ignored, which is inherited.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope='session')
def precision_of_any_processor():
    """Let ``precision: auto`` choose among the same ways in this process on every processor.

    Tests of bf16 state it, or that the processor has instructions for it.
    """
    with pytest.MonkeyPatch.context() as patch:
        name = 'robot_perception.models.runtimes.choice.has_bf16_instructions'
        patch.setattr(name, lambda: False)
        yield
