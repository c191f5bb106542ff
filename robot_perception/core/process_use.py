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
        shared_mib: shared memory in it, such as the segment of the middleware, whose size is fixed
            and which counts from the first use of each page.
        peak_rss_mib: the largest that it has been.
        threads: number of threads.
        files: number of open files.
    """

    rss_mib: float
    shared_mib: float
    peak_rss_mib: float
    threads: int
    files: int

    @property
    def private_mib(self) -> float:
        """Resident memory that is not shared."""
        return self.rss_mib - self.shared_mib


def read_use(pid: int) -> ProcessUse:
    """Read what a process uses now."""
    folder = Path(f'/proc/{pid}')
    lines = (folder / 'status').read_text(encoding='utf-8').splitlines()
    fields = dict(line.partition(':')[::2] for line in lines)
    rss_mib, shared_mib, peak_mib = (
        int(fields[name].split()[0]) / _KIB_PER_MIB for name in ('VmRSS', 'RssShmem', 'VmHWM')
    )
    return ProcessUse(
        rss_mib=rss_mib,
        shared_mib=shared_mib,
        peak_rss_mib=peak_mib,
        threads=int(fields['Threads']),
        files=sum(1 for _ in (folder / 'fd').iterdir()),
    )
