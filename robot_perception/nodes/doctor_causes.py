"""What ``robot-perception doctor`` can report; docs/doctor.md has the same table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

_EXIT_WRONG, _EXIT_DOUBTFUL = 1, 3


class Severity(Enum):
    """How much a cause matters."""

    ERROR = 'error'
    WARNING = 'warning'


ERRORS: Mapping[str, str] = MappingProxyType(
    {
        'python_version': 'Python is too old',
        'missing_library': 'a library that is needed is not installed',
        'library_version': 'a library is outside the supported versions',
        'broken_library': 'a library is installed and cannot be imported',
        'missing_device': 'the device of the configuration is not on this machine',
        'missing_model': 'a checkpoint of the configuration is missing or cannot be used',
        'disk_full': 'the disk has no space for the models that are missing',
        'empty_graph': 'no other node is found, so domain, discovery or middleware differ',
        'no_publisher': 'an input has no publisher',
        'connections': 'a publisher has another type, or a QoS that the node cannot receive from',
        'lost_images': 'large best-effort images are lost in the shared memory of Fast DDS',
        'no_messages': 'a publisher exists and sends nothing',
        'image_rejected': 'images arrive and cannot be read',
        'sim_time_without_clock': 'use_sim_time is set and nothing publishes /clock',
        'calibration': 'the calibration is missing or does not fit the images: no 3D results',
        'depth': 'sensor depth is missing, does not fit or cannot be registered: no 3D results',
        'node_error': '/diagnostics of the running node has an error',
    }
)
WARNINGS: Mapping[str, str] = MappingProxyType(
    {
        'gpu_unused': 'there is an NVIDIA GPU and torch cannot use it',
        'small_shared_memory': 'shared memory is too small for the images of several processes',
        'shared_memory_leftovers': 'segments of processes that were killed fill shared memory',
        'disk_space': 'the disk of the model cache is nearly full',
        'open_files': 'the limit of open files is low',
        'missing_profile': 'the profile file of Fast DDS that is set does not exist',
        'several_publishers': 'several nodes publish on one input',
        'duplicate_node': 'several nodes have one name',
        'camera': 'images have stopped, repeat, or come more slowly than before',
        'image_doubtful': 'images are readable and probably not what was meant',
        'calibration_doubtful': 'the calibration is used and probably wrong',
        'depth_doubtful': 'sensor depth is used and probably wrong',
        'depth_gaps': 'a part of the images has no sensor depth',
        'tf': 'transforms between the image and the configured frames are missing',
        'stamps_zero': 'stamps are zero',
        'stamps_equal': 'consecutive messages have one stamp',
        'stamps_disorder': 'stamps step back',
        'foreign_clock': 'stamps are from another clock',
        'clock_unused': '/clock is published and the node does not use it',
        'vulnerable_middleware': 'this version of Fast DDS has known security holes',
        'node_warning': '/diagnostics of the running node has a warning',
    }
)
_ORDER = {reason: number for number, reason in enumerate((*ERRORS, *WARNINGS))}


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that is wrong.

    Attributes:
        reason: slug, a key of `ERRORS` or `WARNINGS`.
        subject: the topic, library, model or node it is about.
        evidence: what was found, with numbers.
        remedy: what to do.
        command: the command that does it; empty if there is none.
        detail: slug of the part of the package that found it; empty without one.
    """

    reason: str
    subject: str
    evidence: str
    remedy: str = ''
    command: str = ''
    detail: str = ''

    @property
    def severity(self) -> Severity:
        """Whether it stops results."""
        return Severity.ERROR if self.reason in ERRORS else Severity.WARNING

    def to_dict(self) -> dict[str, str]:
        """Return JSON values."""
        return {
            'severity': self.severity.value,
            'reason': self.reason,
            'detail': self.detail,
            'subject': self.subject,
            'evidence': self.evidence,
            'remedy': self.remedy,
            'command': self.command,
        }


@dataclass(frozen=True, slots=True)
class Examination:
    """The result of a group of checks.

    Attributes:
        causes: what is wrong.
        unchecked: checks that could not be made -> why.
        found: what was found, for people: name -> text.
    """

    causes: tuple[Cause, ...] = ()
    unchecked: Mapping[str, str] = field(default_factory=dict)
    found: Mapping[str, str] = field(default_factory=dict)


def sort_causes(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Return each cause once, the worst first: what comes early explains what comes late."""
    return tuple(sorted(dict.fromkeys(causes), key=lambda cause: _ORDER[cause.reason]))


def exit_code(causes: Iterable[Cause]) -> int:
    """Return 0 without causes, 1 if one stops results, 3 if all are warnings."""
    severities = {cause.severity for cause in causes}
    if Severity.ERROR in severities:
        return _EXIT_WRONG
    return _EXIT_DOUBTFUL if severities else 0
