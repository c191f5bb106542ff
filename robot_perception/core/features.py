"""Features of a whole image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import Float32Array
from robot_perception.core.errors import InputError
from robot_perception.core.value import ArrayValue


@dataclass(frozen=True, slots=True, eq=False)
class SceneFeatures(ArrayValue):
    """Global descriptor and patch embeddings of one image.

    Attributes:
        model: identifier of the encoder; vectors of different encoders must not be compared.
        vector: (C,) float32, global descriptor, not normalized.
        patches: (GH, GW, C) float32, one vector for each patch, row-major.
    """

    model: str
    vector: Float32Array
    patches: Float32Array

    def __post_init__(self) -> None:
        vector = self._check_array('vector', (None,), np.float32, 'Pass one flat vector.')
        remedy = 'Pass one vector for each patch, of the same length as the global one.'
        shape = (None, None, len(vector))
        patches = self._check_array('patches', shape, np.float32, remedy)
        if not (np.all(np.isfinite(vector)) and np.all(np.isfinite(patches))):
            raise InputError(
                'not_finite',
                'features: expected finite values, got NaN or infinity. '
                'The network overflowed: use precision fp32.',
            )

    def __repr__(self) -> str:
        """Return one line with encoder and sizes.

        >>> SceneFeatures('m', np.zeros(5, np.float32), np.zeros((2, 3, 5), np.float32))
        SceneFeatures('m', 5 channels, 2x3 patches)
        """
        rows, columns = self.grid_hw
        channels = f'{len(self.vector)} channels'
        return f'SceneFeatures({self.model!r}, {channels}, {rows}x{columns} patches)'

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Rows and columns of the patch grid."""
        return self.patches.shape[0], self.patches.shape[1]
