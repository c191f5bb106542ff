"""Read the calibration of an image from its CameraInfo, or from a calibration file."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.conversions import (
    CalibrationFile,
    has_complete_fields,
    is_same_calibration,
    match_camera,
    Message,
    read_calibration_file,
    to_camera,
)
from robot_perception.core import CalibrationError, CameraModel, Image, normalize_frame_id
from robot_perception.pipeline import CameraConfig
from robot_perception.stream.status import InputStatus, Remedies, USABLE
from robot_perception.stream.synchronizer import CameraTopics


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of one image.

    Attributes:
        camera: None without a valid calibration.
        camera_info: the message that the camera was read from; None if it is not the whole
            calibration, as for a nominal camera or a file, or without a valid calibration.
        status: whether there is a calibration, and if not, why.
    """

    camera: CameraModel | None
    camera_info: Message | None
    status: InputStatus = USABLE

    @classmethod
    def failed(cls, reason: str, problem: str) -> Calibration:
        """Return the result for an image without a valid calibration."""
        return cls(None, None, InputStatus.failed(reason, problem))


@dataclass(frozen=True, slots=True)
class _Read:
    """A calibration that was converted, or why it could not be."""

    source: Message
    rectified: bool
    size_hw: tuple[int, int]
    result: CameraModel | tuple[str, str]

    def equals(self, source: Message, *, rectified: bool, size_hw: tuple[int, int]) -> bool:
        """Return whether a calibration equals this one, apart from its header."""
        if (self.rectified, self.size_hw) != (rectified, size_hw):
            return False
        return self.source is source or is_same_calibration(self.source, source)


class CalibrationReader:
    """Reads calibrations; caches the last result, since most messages are equal."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._last: _Read | None = None
        self._file: tuple[str, CalibrationFile | tuple[str, str]] | None = None

    def read(
        self,
        info: Message | None,
        image: Image,
        config: CameraConfig,
        topics: CameraTopics,
        remedies: Remedies,
    ) -> Calibration:
        """Return the calibration of an image.

        Args:
            info: the newest CameraInfo, None without one.
            image: the image.
            config: how calibrations are read.
            topics: full names; that of the image decides whether it is rectified.
            remedies: advice on missing inputs.
        """
        rectified = config.rectified.applies_to(topics.image)
        if config.info_url:
            return self._from_file(config.info_url, image, rectified=rectified)
        if info is None:
            return _nominal(image, config, remedies)
        frame_status = _frame_status(info, image, config, topics, remedies)
        if not frame_status.is_usable:
            return Calibration(None, None, frame_status)
        camera = self._camera(info, image, rectified=rectified)
        if not isinstance(camera, CameraModel):
            return Calibration.failed(*camera)
        whole = has_complete_fields(info, rectified=rectified)
        return Calibration(camera, info if whole else None, frame_status)

    def _from_file(self, url: str, image: Image, *, rectified: bool) -> Calibration:
        if self._file is None or self._file[0] != url:
            try:
                self._file = (url, read_calibration_file(url))
            except CalibrationError as error:
                self._file = (url, (error.reason, str(error)))
        contents = self._file[1]
        if isinstance(contents, tuple):
            return Calibration.failed(*contents)
        camera = self._camera(contents, image, rectified=rectified)
        if not isinstance(camera, CameraModel):
            reason, problem = camera
            return Calibration.failed(reason, f'{url}: {problem}')
        return Calibration(camera, None)

    def _camera(
        self, source: Message, image: Image, *, rectified: bool
    ) -> CameraModel | tuple[str, str]:
        """Return the camera model of an image, or the reason and the text of the error."""
        size_hw = image.size_hw
        if self._last is None or not self._last.equals(
            source, rectified=rectified, size_hw=size_hw
        ):
            result: CameraModel | tuple[str, str]
            try:
                result = to_camera(source, rectified=rectified, image_size_hw=size_hw)
                match_camera(result, size_hw)
            except CalibrationError as error:
                # The error itself is not stored: it would keep its stack frames alive.
                result = (error.reason, str(error))
            self._last = _Read(source, rectified, size_hw, result)
        return self._last.result


def picture_camera(image: Image, config: CameraConfig, hfov_deg: float) -> CameraModel:
    """Return the calibration of a picture, which has no CameraInfo.

    Args:
        image: the picture.
        config: names the calibration file, if there is one.
        hfov_deg: horizontal field of view without a file, degrees, above 0 and below 180.

    Raises:
        CalibrationError: the file cannot be used for this picture.
    """
    if not config.info_url:
        return CameraModel.nominal(image.size_hw, hfov_deg)
    info = read_calibration_file(config.info_url)
    rectified = config.rectified.applies_to('')
    camera = to_camera(info, rectified=rectified, image_size_hw=image.size_hw)
    match_camera(camera, image.size_hw)
    return camera


def _frame_status(
    info: Message, image: Image, config: CameraConfig, topics: CameraTopics, remedies: Remedies
) -> InputStatus:
    """Return whether a CameraInfo names the frame of the image, or is beside it."""
    frame, image_frame = (
        normalize_frame_id(one) for one in (info.header.frame_id, image.frame_id)
    )
    if config.frame_id or frame == image_frame or '' in {frame, image_frame}:
        return USABLE
    what = f'CameraInfo has frame {frame!r}, the image {image_frame!r}.'
    advice = (
        f'Set camera.frame_id to the right one of the two ({image_frame} or {frame}), if both '
        'are of one camera.'
    )
    if topics.has_camera_info_beside_image:
        return InputStatus.doubtful(
            'other_frame',
            f'{what} It is used, since its topic is beside that of the image. {advice}',
        )
    return InputStatus.failed('other_frame', f'{what} {remedies.camera_info}. {advice}')


def _nominal(image: Image, config: CameraConfig, remedies: Remedies) -> Calibration:
    if config.fallback_hfov_deg > 0:
        return Calibration(CameraModel.nominal(image.size_hw, config.fallback_hfov_deg), None)
    return Calibration.failed(
        'no_camera_info',
        f'no CameraInfo has been received. {remedies.camera_info}, or set camera.info_url or '
        'camera.fallback_hfov_deg.',
    )
