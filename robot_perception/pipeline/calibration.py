"""The newest calibration of the camera, read once and checked against each image."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.conversions import match_camera, Message, to_camera
from robot_perception.core import CalibrationError, CameraModel, Image
from robot_perception.pipeline.config_sections import CameraConfig


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of the camera for one image.

    Attributes:
        camera: None when there is no calibration that can be trusted.
        camera_info: the message it came from, None for a nominal camera.
        problem: why there is none, empty when there is one.

    """

    camera: CameraModel | None
    camera_info: Message
    problem: str


class CalibrationKeeper:
    """Keeps the newest CameraInfo. Reading one is costly beside comparing two."""

    def __init__(self) -> None:
        """Start without a calibration."""
        self._info: Message = None
        self._read: tuple[Message, bool, CameraModel | str] | None = None

    def keep(self, info: Message) -> None:
        """Take a CameraInfo message."""
        self._info = info

    def of(self, image: Image, config: CameraConfig, topic: str) -> Calibration:
        """Say what is known of the camera that took ``image``.

        Args:
            image: the image.
            config: how calibrations are to be read.
            topic: full name of the image's topic, which may tell that it is rectified.

        """
        info = self._info
        if info is None:
            return self._assumed(image, config)
        if '' not in (info.header.frame_id, image.frame_id) and (
            info.header.frame_id != image.frame_id
        ):
            return Calibration(
                None,
                None,
                f'CameraInfo is of frame {info.header.frame_id!r}, the image of '
                f'{image.frame_id!r}. Remap camera_info to the topic beside the image.',
            )
        camera = self._camera(info, rectified=config.rectified.applies_to(topic))
        if isinstance(camera, str):
            return Calibration(None, None, camera)
        try:
            match_camera(camera, image.size_hw)
        except CalibrationError as error:
            return Calibration(None, None, str(error))
        return Calibration(camera, info, '')

    @staticmethod
    def _assumed(image: Image, config: CameraConfig) -> Calibration:
        if config.fallback_hfov_deg > 0:
            nominal = CameraModel.nominal(image.size_hw, config.fallback_hfov_deg)
            return Calibration(nominal, None, '')
        return Calibration(
            None,
            None,
            'no CameraInfo has come. Remap camera_info to the topic of your camera, '
            'or set camera.fallback_hfov_deg.',
        )

    def _camera(self, info: Message, *, rectified: bool) -> CameraModel | str:
        """Read the calibration, or say why it cannot be read."""
        if self._read is None or not self._same(info, rectified=rectified):
            try:
                result: CameraModel | str = to_camera(info, rectified=rectified)
            except CalibrationError as error:
                # The text, not the error: an error that is kept keeps its frames alive.
                result = str(error)
            self._read = (info, rectified, result)
        return self._read[2]

    def _same(self, info: Message, *, rectified: bool) -> bool:
        """Tell whether ``info`` says the same as the one read last, whatever its header."""
        assert self._read is not None  # noqa: S101 - asked by _camera only
        last, last_rectified, _ = self._read
        if last is info:
            return last_rectified == rectified
        return bool(
            last_rectified == rectified
            and (last.width, last.height) == (info.width, info.height)
            and last.distortion_model == info.distortion_model
            and list(last.d) == list(info.d)
            and list(last.k) == list(info.k)
            and list(last.p) == list(info.p)
            and (last.binning_x, last.binning_y) == (info.binning_x, info.binning_y)
            and last.roi == info.roi
        )
