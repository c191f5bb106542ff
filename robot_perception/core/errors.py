"""The exceptions of the package.

    PerceptionError
    ├── InputError (ValueError)         an argument is not usable
    │   ├── ShapeError                  an array has the wrong shape or dtype
    │   ├── CalibrationError            a camera calibration cannot be used for 3D
    │   ├── ImageFileError              an image file cannot be decoded, or not within bounds
    │   └── ConversionError             a message cannot become an image, or back
    ├── TransformError                  a transform between two frames is not available
    ├── ConfigError (ValueError)        a parameter has a bad name, type or value
    ├── ModelError                      a network cannot be loaded or run
    │   ├── UnknownModelError           no catalogue row and no folder of that name
    │   ├── WeightsMissingError         the checkpoint is not on this machine
    │   ├── WeightsInvalidError         the checkpoint is there and cannot be used
    │   └── DeviceUnavailableError      the requested device is not on this machine
    ├── SourceError                     a bag, video, folder or camera cannot be read
    │   └── DamagedBagError             a bag is truncated or corrupt: a part of it is lost
    ├── OutputError                     a result cannot be written
    └── MissingLibraryError (ImportError)    an optional library is not installed

Every message states the subject, what was expected, what came instead, and a remedy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class PerceptionError(Exception):
    """Base class of all exceptions that this package raises.

    Attributes:
        reason: short stable slug such as ``'unknown_parameter'``, for programs. The text is for
            people and may be reworded.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Store the reason and the message."""
        super().__init__(reason, message)
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return str(self.args[1])


class InputError(PerceptionError, ValueError):
    """An argument is not usable."""


class ShapeError(InputError):
    """An array has the wrong shape or dtype."""


class CalibrationError(InputError):
    """A camera calibration cannot be used for 3D; 2D results do not need it."""


class ImageFileError(InputError):
    """An image file cannot be decoded within bounds of time and memory."""


class ConversionError(InputError):
    """A message cannot be converted."""


class TransformError(PerceptionError):
    """The transform between two frames is not available at the requested time.

    Attributes:
        reason: ``'unknown_frame'``, ``'disconnected'``, ``'too_new'``, ``'too_old'`` or
            ``'loop'``. Waiting helps with neither ``'too_old'`` nor ``'loop'``.
    """

    @property
    def is_transient(self) -> bool:
        """Whether the transform may still arrive."""
        return self.reason in {'unknown_frame', 'disconnected', 'too_new'}


class ConfigError(PerceptionError, ValueError):
    """A parameter has a bad name, type or value."""


class ModelError(PerceptionError):
    """A network cannot be loaded or run."""


class UnknownModelError(ModelError):
    """Neither a catalogue row nor a folder has that name."""


class WeightsMissingError(ModelError):
    """The checkpoint is not on this machine."""


class WeightsInvalidError(ModelError):
    """The checkpoint is there and cannot be used."""


class DeviceUnavailableError(ModelError):
    """The requested device is not on this machine."""


class SourceError(PerceptionError):
    """A bag, video, folder of images or camera cannot be read."""


class DamagedBagError(SourceError):
    """A bag is truncated or corrupt: a part of it, or all of it, is lost."""


class OutputError(PerceptionError):
    """A result cannot be written."""


class MissingLibraryError(PerceptionError, ImportError):
    """An optional library is not installed."""


@contextmanager
def requires(package: str) -> Iterator[None]:
    """Replace the error of a missing import in the block: ``pip install package`` resolves it.

    Raises:
        MissingLibraryError: reason ``'missing_library'``.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            'missing_library',
            f'{error.name}: expected an installed library, got none. '
            f'Install it: pip install {package}',
        ) from error
