"""The error tree of the package.

    PerceptionError
    ├── InputError (ValueError)         a value handed in is not usable
    │   ├── ShapeError                  an array has the wrong shape or dtype
    │   ├── CalibrationError            a camera calibration cannot be used for 3D
    │   └── ConversionError             a message cannot become an image, or back
    ├── TransformError                  where one frame is in another is not known
    ├── ConfigError (ValueError)        a parameter has a bad name, type or value
    ├── ModelError                      a network cannot be loaded or run
    │   ├── UnknownModelError           no catalogue row and no folder of that name
    │   ├── WeightsMissingError         the checkpoint is not on this machine
    │   ├── WeightsInvalidError         the checkpoint is there and cannot be used
    │   └── DeviceUnavailableError      the asked-for device is not on this machine
    ├── SourceError                     a bag, video, folder or camera cannot be read
    │   └── DamagedBagError             a bag was cut or overwritten: a part of it is lost
    └── OutputError                     a result cannot be written

Every message says what, what was expected, what came, and what to do.
"""

from __future__ import annotations


class PerceptionError(Exception):
    """Base of everything this package raises on purpose.

    Attributes:
        reason: short stable slug such as ``'unknown_parameter'``, for programs; the text is for
            people and may be reworded.

    """

    def __init__(self, reason: str, message: str = '') -> None:
        """Keep the slug beside the sentence."""
        # Until every raise names its reason, a lone argument is the sentence.
        self.reason, self._message = (reason, message) if message else ('unnamed', reason)
        super().__init__(reason, message)

    def __str__(self) -> str:
        """Return the sentence."""
        return self._message


class InputError(PerceptionError, ValueError):
    """A value handed in is not usable."""


class ShapeError(InputError):
    """An array has the wrong shape or dtype."""


class CalibrationError(InputError):
    """A camera calibration cannot be used for 3D; 2D results do not need it."""


class ConversionError(InputError):
    """A message cannot be converted."""


class TransformError(PerceptionError):
    """Where one frame is in another, at the time asked for, is not known.

    Attributes:
        reason: ``'unknown_frame'``, ``'disconnected'``, ``'too_new'``, ``'too_old'`` or
            ``'loop'``. What is too old, or a loop, does not mend by waiting.

    """

    @property
    def may_come(self) -> bool:
        """Whether what is missing may only be late."""
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
    """The asked-for device is not on this machine."""


class SourceError(PerceptionError):
    """A bag, video, folder of pictures or camera cannot be read."""


class DamagedBagError(SourceError):
    """A bag was cut or overwritten: a part of it, or all of it, is lost."""


class OutputError(PerceptionError):
    """A result cannot be written."""
