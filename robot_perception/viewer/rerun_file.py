"""An .rrd file that raises when it cannot be written.

Rerun's own thread for files ends silently when the disk is full, and waiting for it never ends.
So it writes into a pipe, and what comes out is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import tempfile
from threading import Thread
from typing import Any

from robot_perception.core import replacing_file, write_error

_BYTES = 1 << 20


@contextmanager
def rerun_file(
    stream: Any,  # noqa: ANN401 - of Rerun
    path: Path,
    layout: Any,  # noqa: ANN401 - of Rerun
) -> Iterator[Callable[[], None]]:
    """Save a stream to a file, which is there whole at the end of the block or not at all.

    Yields a function that raises OutputError when something could not be written so far.

    Args:
        stream: RecordingStream that nothing was logged to but static data.
        path: file to make; its folder must exist.
        layout: blueprint to go with it.

    Raises:
        OutputError: the file cannot be written.
    """
    errors: list[OSError] = []

    def check() -> None:
        if errors:
            raise write_error(path, errors[0]) from errors[0]

    with replacing_file(path) as part, tempfile.TemporaryDirectory() as folder:
        part.touch()
        pipe = Path(folder, 'pipe')
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reader, True)
        thread = Thread(target=_copy, args=(reader, part, errors), daemon=True)
        stream.save(pipe, default_blueprint=layout)
        thread.start()
        try:
            yield check
        finally:
            stream.disconnect()
            thread.join()
        check()


def _copy(reader: int, part: Path, errors: list[OSError]) -> None:
    """Write what comes out of the pipe; after a failure go on reading, so that Rerun ends."""
    with os.fdopen(reader, 'rb', buffering=0) as pipe:
        try:
            with part.open('wb') as file:
                while data := pipe.read(_BYTES):
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            errors.append(error)
            while pipe.read(_BYTES):
                pass
