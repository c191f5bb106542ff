"""Class of every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import checked, UInt16Array
from robot_perception.core.errors import InputError, ShapeError
from robot_perception.core.value import ArrayValue, format_size

NO_CLASS = int(np.iinfo(np.uint16).max)
"""Value of pixels without a class."""


@dataclass(frozen=True, slots=True, eq=False)
class Semantics(ArrayValue):
    """Class of every pixel, and its instance where the network separates objects.

    Attributes:
        model: identifier of the network; its class ids are those of ``class_names``.
        classes: (H, W) uint16, class id of each pixel; 65535 = none.
        class_names: name of each class id.
        instances: (H, W) uint16, 0 = no single object, else the number of the object in this
            image; None if the network does not separate objects.
    """

    model: str
    classes: UInt16Array
    class_names: tuple[str, ...]
    instances: UInt16Array | None = None

    def __post_init__(self) -> None:
        remedy = 'Pass the class id of each pixel.'
        classes = self._check_array('classes', (None, None), np.uint16, remedy)
        object.__setattr__(self, 'class_names', tuple(self.class_names))
        known = classes[classes != NO_CLASS]
        if known.size and int(known.max()) >= len(self.class_names):
            raise InputError(
                'out_of_range',
                f'classes: expected ids below {len(self.class_names)}, the number of class names, '
                f'or {NO_CLASS} for none, got {int(known.max())}. Pass the names of all classes.',
            )
        if self.instances is not None:
            remedy = 'Pass the number of the object at each pixel, 0 = none.'
            instances = checked('instances', self.instances, (None, None), np.uint16, remedy)
            if instances.shape != classes.shape:
                raise ShapeError(
                    'size_mismatch',
                    f'instances: expected the size of the classes {classes.shape}, '
                    f'got {instances.shape} (rows, columns).',
                )
            object.__setattr__(self, 'instances', instances)

    def __repr__(self) -> str:
        """Return one line with network, size and number of classes in the image.

        >>> Semantics('m', np.zeros((480, 640), np.uint16), ('floor', 'wall'))
        Semantics('m', 640x480, 1 of 2 classes)
        """
        found = len(self.areas())
        size = format_size(self.size_hw)
        return f'Semantics({self.model!r}, {size}, {found} of {len(self.class_names)} classes)'

    @property
    def size_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.classes.shape[0], self.classes.shape[1]

    def areas(self) -> dict[str, int]:
        """Return the name of each class in the image -> its pixels, most first."""
        counts = np.bincount(self.classes.ravel(), minlength=NO_CLASS + 1)[:NO_CLASS]
        order = sorted(np.flatnonzero(counts).tolist(), key=lambda index: -counts[index])
        return {self.class_names[index]: int(counts[index]) for index in order}
