"""Settings of the C library's allocator."""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt(3), from malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MAX_MMAP_THRESHOLD = 32 * 1024 * 1024
_TRIM_THRESHOLD = 128 * 1024 * 1024


def keep_freed_memory() -> None:
    """Let this process keep up to 128 MiB of freed memory for reuse, where the C library is glibc.

    Otherwise each message of an image or a cloud is new memory from the kernel, page by page: at
    640x480 with every topic subscribed 8 to 15 ms a frame, and a fifteenth of the time of the
    demo's networks.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, _MAX_MMAP_THRESHOLD)
    mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)
