"""Text for terminals."""

from __future__ import annotations

# Line breaks and tabs are kept.
_CONTROL = {code: f'\\x{code:02x}' for code in (*range(9), *range(11, 32), *range(127, 160))}


def printable(text: str) -> str:
    r"""Return a text in which names of files and classes cannot control the terminal.

    >>> printable('cup\x1b[31m')
    'cup\\x1b[31m'
    """
    return text.translate(_CONTROL)


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, which gets an s.

    >>> counted(1, 'frame'), counted(2, 'frame')
    ('1 frame', '2 frames')
    """
    return f'{count} {noun}{"" if count == 1 else "s"}'
