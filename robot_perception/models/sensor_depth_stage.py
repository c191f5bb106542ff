"""The depth stage with networks that take the depth of a sensor."""

from __future__ import annotations

import numpy as np

from robot_perception.core import Depth, MetricDepth
from robot_perception.models.families.interfaces import SensorDepthFamily, Tensors
from robot_perception.models.stages import NetworkStage
from robot_perception.models.uploaded_image import UploadedImage

# Of the depth that stands for a sensor where runtimes are compared.
_NEAREST_M, _FARTHEST_M = 1.0, 4.0


class NetworkSensorDepthEstimator(NetworkStage[SensorDepthFamily]):
    """Estimates the depth of each pixel from an image and the depth of a sensor."""

    def run(self, image: UploadedImage) -> Depth:
        """Run the whole stage, with a ramp as the depth of the sensor."""
        return self.estimate_from(image, _ramp(image))

    def sample_prompt(self, image: UploadedImage) -> Tensors:
        """Return the prompt of `run`."""
        return tuple(one.to(self.placement.device) for one in self.family.prompt(_ramp(image)))

    def estimate_from(self, image: UploadedImage, sensor: MetricDepth | None) -> Depth:
        """Return metric depth at the image's size; relative if the sensor has none."""
        self._check(image)
        with self._computing():
            prompt = [one.to(self.placement.device) for one in self.family.prompt(sensor)]
            outputs = self._networks('image', self.prepare(image), *prompt)
            return self.family.read(outputs, image.size_hw, has_prompt=bool(prompt))


def _ramp(image: UploadedImage) -> MetricDepth:
    height, width = image.size_hw
    rows = np.linspace(_FARTHEST_M, _NEAREST_M, height, dtype=np.float32)
    return MetricDepth(np.repeat(rows[:, None], width, axis=1))
