"""How a network is asked: one adapter for each family. torch lives here and nowhere else.

This file, the stubs and the catalogue need no torch; an adapter imports it when it is built.

The four builders take the same arguments:

- ``model``: ``'stub'``, ``'demo'`` (small networks of the real architectures that come with this
  package and know its demo world only), an id of the catalogue, or the path of a checkpoint folder.
- ``device``: ``'auto'`` (CUDA where there is one), ``'cpu'``, ``'cuda'`` or ``'cuda:N'``.
- ``precision``: ``'auto'`` (fp32 on a CPU, fp16 on CUDA), ``'fp32'``, ``'bf16'`` or ``'fp16'``.
- ``input_size``: side of the network's input in pixels: the short side where the aspect is kept
  (DINOv2, Depth Anything, DETR, YOLOS: rounded to the patch as the checkpoint's processor does),
  the side of the square otherwise (RT-DETR, RT-DETRv2, D-FINE, SAM 2: multiples of 32);
  0 = the checkpoint's own rule.

They raise a `ModelError` that names the parameter, what was found and what to do, or a
`ConfigError` for a word or a number that is none of these. They never reach the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robot_perception.core import lazy_attributes, Stage
from robot_perception.models.catalogue import (
    CATALOGUE,
    CatalogueRow,
    DEMO,
    find_row,
    known_models,
    STUB,
)
from robot_perception.models.interfaces import (
    DepthEstimator,
    Detector,
    FeatureExtractor,
    ImageEmbedding,
    Segmenter,
)
from robot_perception.models.stub import (
    StubDepthEstimator,
    StubDetector,
    StubFeatureExtractor,
    StubSegmenter,
)
from robot_perception.models.uploaded_image import UploadedImage

if TYPE_CHECKING:
    from robot_perception.models.checkpoint import Checkpoint, find_checkpoint, read_checkpoint
    from robot_perception.models.checkpoint_writer import write_checkpoint
    from robot_perception.models.network import load_network
    from robot_perception.models.preprocess import Preprocessor
    from robot_perception.models.pull import pull
    from robot_perception.models.resize import Exactly


def build_feature_extractor(
    model: str, *, device: str = 'auto', precision: str = 'auto', input_size: int = 0
) -> FeatureExtractor:
    """Build what embeds a scene (parameter ``features.model``)."""
    if model == STUB:
        return StubFeatureExtractor()
    checkpoint = _checkpoint(model, Stage.FEATURES)
    from robot_perception.models.dinov2 import Dinov2  # noqa: PLC0415 - torch-free door

    return Dinov2(checkpoint, device=device, precision=precision, input_size=input_size)


def build_depth_estimator(
    model: str, *, device: str = 'auto', precision: str = 'auto', input_size: int = 0
) -> DepthEstimator:
    """Build what estimates depth (parameter ``depth.model``)."""
    if model == STUB:
        return StubDepthEstimator()
    checkpoint = _checkpoint(model, Stage.DEPTH)
    from robot_perception.models.depth_anything import DepthAnything  # noqa: PLC0415 - torch-free door

    return DepthAnything(checkpoint, device=device, precision=precision, input_size=input_size)


def build_detector(
    model: str, *, device: str = 'auto', precision: str = 'auto', input_size: int = 0
) -> Detector:
    """Build what finds objects (parameter ``detector.model``)."""
    if model == STUB:
        return StubDetector()
    checkpoint = _checkpoint(model, Stage.DETECTOR)
    from robot_perception.models.detr import Detr  # noqa: PLC0415 - torch-free door

    return Detr(checkpoint, device=device, precision=precision, input_size=input_size)


def build_segmenter(
    model: str, *, device: str = 'auto', precision: str = 'auto', input_size: int = 0
) -> Segmenter:
    """Build what finds the pixels of boxes (parameter ``segmenter.model``)."""
    if model == STUB:
        return StubSegmenter()
    checkpoint = _checkpoint(model, Stage.SEGMENTER)
    from robot_perception.models.sam2 import Sam2  # noqa: PLC0415 - torch-free door

    return Sam2(checkpoint, device=device, precision=precision, input_size=input_size)


def _checkpoint(model: str, task: Stage) -> Checkpoint:
    from robot_perception.models.checkpoint import find_checkpoint  # noqa: PLC0415 - torch-free door

    return find_checkpoint(model, task)


def limit_cpu_threads(count: int) -> None:
    """Let the networks use at most ``count`` threads of the CPU (parameter ``cpu_threads``)."""
    from robot_perception.models import device  # noqa: PLC0415 - torch-free door

    device.limit_cpu_threads(count)


__all__ = [
    'CATALOGUE',
    'DEMO',
    'STUB',
    'CatalogueRow',
    'DepthEstimator',
    'Detector',
    'Exactly',
    'FeatureExtractor',
    'ImageEmbedding',
    'Preprocessor',
    'Segmenter',
    'UploadedImage',
    'build_depth_estimator',
    'build_detector',
    'build_feature_extractor',
    'build_segmenter',
    'find_checkpoint',
    'find_row',
    'known_models',
    'limit_cpu_threads',
    'load_network',
    'pull',
    'read_checkpoint',
    'write_checkpoint',
]

__getattr__ = lazy_attributes(
    __name__,
    {
        'find_checkpoint': 'checkpoint',
        'read_checkpoint': 'checkpoint',
        'write_checkpoint': 'checkpoint_writer',
        'load_network': 'network',
        'Preprocessor': 'preprocess',
        'pull': 'pull',
        'Exactly': 'resize',
    },
)
