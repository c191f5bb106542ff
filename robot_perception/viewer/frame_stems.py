"""Names of the files of a frame."""

from __future__ import annotations

from pathlib import PurePath

from robot_perception.core import Scene


class FrameStems:
    """Names each frame by itself, the same in every run.

    That of a picture is the name of its file without the ending; of two pictures with one name
    the second one is ``NAME~2``. Others have their number in six digits, and their stamp in
    nanoseconds unless that is 0.

    >>> from robot_perception.core import Image
    >>> import numpy as np
    >>> pixels = np.zeros((1, 1, 3), np.uint8)
    >>> stems = FrameStems()
    >>> stems.add(Scene(image=Image(pixels, stamp_ns=1_500_000_000)), 7)
    '000007_1500000000'
    >>> pictures = (Scene(image=Image(pixels, name=name)) for name in ('a.jpg', 'a.png'))
    >>> ', '.join(stems.add(scene, 0) for scene in pictures)
    'a, a~2'
    """

    def __init__(self) -> None:
        """Start without frames."""
        self._taken: set[str] = set()

    def add(self, scene: Scene, frame: int) -> str:
        """Return the name of a frame with this number."""
        image = scene.image
        stem = f'{frame:06d}_{image.stamp_ns}' if image.stamp_ns else f'{frame:06d}'
        name = PurePath(image.name).stem
        # Dots alone name a folder above.
        if name.strip('.'):
            stem = name
        unique, number = stem, 1
        # Some file systems take A and a for one name.
        while unique.casefold() in self._taken:
            number += 1
            unique = f'{stem}~{number}'
        self._taken.add(unique.casefold())
        return unique
