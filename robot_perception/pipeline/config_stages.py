"""Sections of the configuration for the networks."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.core import DepthSource
from robot_perception.models import RUNTIME_CHOICES
from robot_perception.pipeline.choices import Precision
from robot_perception.pipeline.parameters import parameter, Section

_ROBOT_FEATURES = 'facebook/dinov2-small'
_ROBOT_DEPTH = 'depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf'
_ROBOT_DETECTOR = 'facebook/detr-resnet-50'
_ROBOT_SEGMENTER = 'facebook/sam2.1-hiera-tiny'
_SEMANTICS = 'facebook/mask2former-swin-tiny-coco-panoptic'
_SCENE_CLASSIFIER = 'google/siglip2-base-patch16-224'

_MODEL = 'Catalog name, folder of a checkpoint, demo, or stub.'
FROM_DETECTOR = 'detector'
"""The ``segmenter.model`` that stands for the masks of the detector."""


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a list separated by commas: each once, in the case of the first.

    >>> split_names('red  cup, chair,, Chair')
    ('red cup', 'chair')
    """
    names: dict[str, str] = {}
    for name in text.split(','):
        words = ' '.join(name.split())
        names.setdefault(words.casefold(), words)
    return tuple(filter(None, names.values()))


@dataclass(frozen=True, slots=True)
class StageSection(Section):
    """Parameters that every network has."""

    enabled: bool = parameter(True, 'Run this stage.', live=True)
    model: str = parameter('stub', _MODEL)
    input_size: int = parameter(
        0,
        'Side of the network input: the short side if the aspect ratio is kept, the side of the '
        'square otherwise; 0 = as in the checkpoint.',
        unit='pixels',
        limits=(0, 4096),
    )
    runtime: str = parameter(
        'auto',
        'Library that computes this network; auto = that of the parameter runtime.',
        choices=RUNTIME_CHOICES,
    )
    precision: Precision = parameter(
        Precision.AUTO, 'Precision of this network; auto = that of the parameter precision.'
    )
    every_k: int = parameter(
        1,
        'Run on every k-th frame; the frames between have no result of this stage.',
        unit='frames',
        limits=(1, 10000),
        live=True,
    )


@dataclass(frozen=True, slots=True)
class FeaturesConfig(StageSection, name='features'):
    """Scene encoder."""

    model: str = parameter(_ROBOT_FEATURES, _MODEL)
    publish_patches: bool = parameter(
        False, 'Publish the patch grid along with the global vector.', live=True
    )


@dataclass(frozen=True, slots=True)
class DepthConfig(StageSection, name='depth'):
    """Depth estimation."""

    model: str = parameter(_ROBOT_DEPTH, _MODEL)
    source: DepthSource = parameter(
        DepthSource.MODEL,
        'Source of metric depth: the network, a depth camera, or both fused: network depth is '
        'scaled to that of the camera and fills its holes.',
    )
    calibration: str = parameter(
        '',
        'JSON file of the uncertainty of positions (docs/uncertainty.md); '
        'empty = that of the demo networks, for others general values marked as uncalibrated.',
    )
    max_offset_s: float = parameter(
        0.02,
        'Maximum difference between the stamps of an image and of the sensor depth used for it.',
        unit='seconds',
        limits=(0.0, 10.0),
        live=True,
    )
    max_wait_s: float = parameter(
        0.1,
        'Maximum time to wait for the sensor depth of an image; after that it is processed '
        'without 3D.',
        unit='seconds',
        limits=(0.0, 10.0),
        live=True,
    )
    unit_m: float = parameter(
        0.0,
        'Unit of the sensor depth: 0.001 = millimeters, 1 = meters; 0 = by the encoding, as '
        'REP 118 has it: 16UC1 is millimeters, 32FC1 is meters.',
        unit='meters',
        limits=(0.0, 1.0),
        live=True,
    )
    registered: bool = parameter(
        False,
        'Take the sensor depth as registered to the image, whatever frame it names; otherwise '
        'depth of another frame is registered by both calibrations and TF.',
        live=True,
    )


@dataclass(frozen=True, slots=True)
class DetectorConfig(StageSection, name='detector'):
    """Object detection."""

    model: str = parameter(
        _ROBOT_DETECTOR,
        'Catalog name, folder of a checkpoint, ONNX file with a layout, demo, or stub.',
    )
    calibration: str = parameter(
        '',
        'JSON file that maps scores to the share of right detections (docs/uncertainty.md); '
        'empty = score_calibration.json in the folder of the detector, if it has one.',
    )
    threshold: float = parameter(0.5, 'Minimum score of an object.', limits=(0.0, 1.0), live=True)
    classes: str = parameter(
        '',
        'Names of the classes to detect, separated by commas, such as "person, dining table"; '
        'empty = all of the detector.',
        live=True,
    )
    prompts: str = parameter(
        '',
        'What a detector that takes prompts is to detect, separated by commas, such as "red cup, '
        'chair"; the prompts are its classes. Empty = what it names itself, for a network that '
        'writes names.',
        live=True,
    )
    max_objects: int = parameter(
        20,
        'Maximum number of objects in a frame; those with the highest scores are kept.',
        limits=(1, 1000),
        live=True,
    )
    max_overlap: float = parameter(
        0.85,
        'Maximum overlap (IoU) of two boxes of any class; of boxes that overlap more, the one '
        'with the lower score is dropped. 1 = keep all.',
        limits=(0.0, 1.0),
        live=True,
    )

    @property
    def prompt_names(self) -> tuple[str, ...]:
        """The prompts in their order."""
        return split_names(self.prompts)


@dataclass(frozen=True, slots=True)
class SegmenterConfig(StageSection, name='segmenter'):
    """Instance segmentation of the detected objects."""

    model: str = parameter(
        _ROBOT_SEGMENTER,
        'Catalog name, folder of a checkpoint, demo, stub, or detector: the masks of a detector '
        'that gives them with its boxes, such as RF-DETR for instance segmentation.',
    )


@dataclass(frozen=True, slots=True)
class SemanticsConfig(StageSection, name='semantics'):
    """Class of every pixel."""

    enabled: bool = parameter(False, 'Run this stage.', live=True)
    model: str = parameter(_SEMANTICS, _MODEL)
    labels: str = parameter(
        '',
        'Classes of pixels for a network that takes labels, separated by commas, such as "floor, '
        'wall, red cup"; a network with classes of its own takes none.',
        live=True,
    )
    threshold: float = parameter(
        0.5,
        'Minimum score of the class of a pixel; pixels without any higher score have no class. '
        'Only for a network that takes labels.',
        limits=(0.0, 1.0),
        live=True,
    )

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels in their order."""
        return split_names(self.labels)


@dataclass(frozen=True, slots=True)
class SceneConfig(StageSection, name='scene'):
    """Classes of the whole image."""

    enabled: bool = parameter(False, 'Run this stage.', live=True)
    model: str = parameter(_SCENE_CLASSIFIER, _MODEL)
    gallery: str = parameter(
        '',
        'Folder of a few named pictures, which replaces scene.model: the classes are their names, '
        'scored by the most similar picture in the features of features.model (docs/models.md).',
    )
    labels: str = parameter(
        '',
        'Classes of the whole image, separated by commas, such as "kitchen, office, corridor"; '
        'empty = those of the network or gallery, if it has any.',
        live=True,
    )

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels in their order."""
        return split_names(self.labels)
