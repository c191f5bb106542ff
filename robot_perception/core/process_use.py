"""What a process uses of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_KIB_PER_MIB = 1024


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """Resources of a process.

    Attributes:
        rss_mib: resident memory.
        peak_rss_mib: the largest that it has been.
        threads: number of threads.
        files: number of open files.
    """

    rss_mib: float
    peak_rss_mib: float
    threads: int
    files: int


def read_use(pid: int) -> ProcessUse:
    """Read what a process uses now."""
    folder = Path(f'/proc/{pid}')
    lines = (folder / 'status').read_text(encoding='utf-8').splitlines()
    fields = dict(line.partition(':')[::2] for line in lines)
    rss_mib, peak_mib = (
        int(fields[name].split()[0]) / _KIB_PER_MIB for name in ('VmRSS', 'VmHWM')
    )
    return ProcessUse(
        rss_mib=rss_mib,
        peak_rss_mib=peak_mib,
        threads=int(fields['Threads']),
        files=sum(1 for _ in (folder / 'fd').iterdir()),
    )
