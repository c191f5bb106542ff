"""Masks of detectors that give them with their boxes."""

from __future__ import annotations

import numpy as np

from robot_perception.core import Detections, Float32Array, Masks, ModelError
from robot_perception.models.uploaded_image import UploadedImage


class DetectorMasks:
    """Replaces a segmenter where the detector gives masks with its boxes."""

    def read(self, detections: Detections, image: UploadedImage) -> Masks:
        """Return the masks of the detections at the image's size.

        They are the pixels where the logits, upsampled bilinearly, are positive.

        Raises:
            ModelError: the detector gives no masks.
        """
        # It imports torch.
        from robot_perception.models.families.mask_upsampling import (  # noqa: PLC0415
            upsample_and_threshold,
        )

        logits = detections.mask_logits
        if logits is not None:
            pixels = upsample_and_threshold(logits, image.size_hw)
            return Masks(pixels, np.array([_mean_probability(one) for one in logits], np.float32))
        if not len(detections):
            return Masks.empty(image.size_hw)
        raise ModelError(
            'no_masks',
            'segmenter.model: expected detections with mask_logits, got boxes only. Use a '
            'detector that gives masks, or a segmenter.',
        )


def _mean_probability(logits: Float32Array) -> float:
    """Return the mean probability of the pixels in a mask, 0 without any."""
    inside = logits[logits > 0]
    return float((1 / (1 + np.exp(-inside))).mean()) if len(inside) else 0.0
