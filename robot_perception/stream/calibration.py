"""Read the calibration of an image from its CameraInfo."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.conversions import match_camera, Message, to_camera
from robot_perception.core import CalibrationError, CameraModel, Image
from robot_perception.pipeline import CameraConfig
from robot_perception.stream.status import InputStatus, Remedies, USABLE


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of one image.

    Attributes:
        camera: None without a valid calibration.
        camera_info: the message that the camera was read from; None for a nominal camera, or
            without a valid calibration.
        status: whether there is a calibration, and if not, why.

    """

    camera: CameraModel | None
    camera_info: Message | None
    status: InputStatus = USABLE

    @classmethod
    def failed(cls, reason: str, problem: str) -> Calibration:
        """Return the result for an image without a valid calibration."""
        return cls(None, None, InputStatus.failed(reason, problem))


class CalibrationReader:
    """Reads CameraInfo messages; caches the last result, since most messages are equal."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._last: tuple[Message, bool, CameraModel | tuple[str, str]] | None = None

    def read(
        self,
        info: Message | None,
        image: Image,
        config: CameraConfig,
        topic: str,
        remedies: Remedies,
    ) -> Calibration:
        """Return the calibration of an image.

        Args:
            info: the newest CameraInfo, None without one.
            image: the image.
            config: how calibrations are read.
            topic: full name of the image's topic, which decides whether it is rectified.
            remedies: advice on missing inputs.

        """
        if info is None:
            return _nominal(image, config, remedies)
        if '' not in (info.header.frame_id, image.frame_id) and (
            info.header.frame_id != image.frame_id
        ):
            return Calibration.failed(
                'other_frame',
                f'CameraInfo has frame {info.header.frame_id!r}, the image {image.frame_id!r}. '
                f'{remedies.camera_info}.',
            )
        camera = self._camera(info, rectified=config.rectified.applies_to(topic))
        if not isinstance(camera, CameraModel):
            return Calibration.failed(*camera)
        try:
            match_camera(camera, image.size_hw)
        except CalibrationError as error:
            return Calibration.failed(error.reason, str(error))
        return Calibration(camera, info)

    def _camera(self, info: Message, *, rectified: bool) -> CameraModel | tuple[str, str]:
        """Return the camera model, or the reason and the text of the error."""
        if self._last is None or not _is_same(self._last, info, rectified=rectified):
            try:
                result: CameraModel | tuple[str, str] = to_camera(info, rectified=rectified)
            except CalibrationError as error:
                # The error itself is not stored: it would keep its stack frames alive.
                result = (error.reason, str(error))
            self._last = (info, rectified, result)
        return self._last[2]


def _nominal(image: Image, config: CameraConfig, remedies: Remedies) -> Calibration:
    if config.fallback_hfov_deg > 0:
        return Calibration(CameraModel.nominal(image.size_hw, config.fallback_hfov_deg), None)
    return Calibration.failed(
        'no_camera_info',
        f'no CameraInfo has been received. {remedies.camera_info}, or set '
        'camera.fallback_hfov_deg.',
    )


def _is_same(
    last: tuple[Message, bool, CameraModel | tuple[str, str]], info: Message, *, rectified: bool
) -> bool:
    """Return whether a CameraInfo equals the one read last, apart from its header."""
    other, other_rectified, _ = last
    if other is info:
        return other_rectified == rectified
    return bool(
        other_rectified == rectified
        and (other.width, other.height) == (info.width, info.height)
        and other.distortion_model == info.distortion_model
        and list(other.d) == list(info.d)
        and list(other.k) == list(info.k)
        and list(other.p) == list(info.p)
        and (other.binning_x, other.binning_y) == (info.binning_x, info.binning_y)
        and other.roi == info.roi
    )
