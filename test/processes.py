"""Processes of this machine, as Linux lists them."""

from pathlib import Path
from typing import NamedTuple


class ListedProcess(NamedTuple):
    """A process: its id, that of its parent, its command line, and its badness for the kernel."""

    number: int
    parent: int
    command: str
    oom_score: int


def list_processes():
    """Yield all processes, without those that end meanwhile."""
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            fields = (folder / 'stat').read_text().rpartition(')')[2].split()
            command = (folder / 'cmdline').read_bytes().decode(errors='replace')
            score = int((folder / 'oom_score_adj').read_text())
        except OSError:
            continue
        yield ListedProcess(int(folder.name), int(fields[1]), command, score)
