"""An .rrd file that raises when it cannot be written.

Rerun's own thread for files ends silently when the disk is full, and waiting for it never ends.
So it writes into a pipe, and what comes out is written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import tempfile
from threading import Thread
from typing import Any

from robot_perception.core import replacing_file, write_error

_BYTES = 1 << 20


class RerunFile:
    """Writes what comes out of a named pipe; after a failure it goes on reading."""

    def __init__(self, pipe: Path, part: Path, path: Path) -> None:
        """Begin; the pipe must exist."""
        self._part = part
        self._path = path
        self._error: OSError | None = None
        self._reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self._reader, True)
        self._thread = Thread(target=self._write, daemon=True)

    def start(self) -> None:
        """Read from now on; the other end must be open."""
        self._thread.start()

    def end(self) -> None:
        """Wait for the end of what comes out."""
        self._thread.join()

    def check(self) -> None:
        """Raise OutputError when something could not be written."""
        if self._error is not None:
            raise write_error(self._path, self._error) from self._error

    def _write(self) -> None:
        with os.fdopen(self._reader, 'rb', buffering=0) as pipe:
            try:
                with self._part.open('wb') as file:
                    while data := pipe.read(_BYTES):
                        file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                self._error = error
                while pipe.read(_BYTES):
                    pass


@contextmanager
def rerun_file(
    stream: Any,  # noqa: ANN401 - of Rerun
    path: Path,
    layout: Any,  # noqa: ANN401 - of Rerun
) -> Iterator[RerunFile]:
    """Save a stream to a file, which is there whole at the end of the block or not at all.

    Args:
        stream: RecordingStream that nothing was logged to but static data.
        path: file to make; its folder must exist.
        layout: blueprint to go with it.

    Raises:
        OutputError: the file cannot be written.

    """
    with replacing_file(path) as part, tempfile.TemporaryDirectory() as folder:
        part.touch()
        pipe = Path(folder, 'pipe')
        os.mkfifo(pipe)
        file = RerunFile(pipe, part, path)
        stream.save(pipe, default_blueprint=layout)
        file.start()
        try:
            yield file
        finally:
            stream.disconnect()
            file.end()
        file.check()
