"""The networks, behind one interface for each stage and with one adapter for each family.

Importing this package does not import torch; building a network other than a stub does.

The builders take the same arguments:

- ``model``: ``'stub'``, ``'demo'`` (small networks of the real architectures, shipped with this
  package and trained on its demo world only), `DEMO_WORDS` (the one of them that takes prompts),
  an id of the catalogue, or the path of a checkpoint folder; for a detector also that of an ONNX
  file (docs/models.md).
- ``device``: ``'auto'`` (CUDA if available), ``'cpu'``, ``'cuda'`` or ``'cuda:N'``.
- ``precision``: ``'auto'`` (fp16 on CUDA; bf16 on a CPU for networks that are faster with its
  instructions for bf16; fp32 otherwise), ``'fp32'``, ``'bf16'`` or ``'fp16'``.
- ``runtime``: ``'torch'``, ``'openvino'``, ``'onnxruntime'``, or ``'auto'`` (on a CPU the fastest
  of those that are installed).
- ``input_size``: size of the network's input in pixels; 0 = the checkpoint's own rule. For DINOv2,
  Depth Anything, DETR and YOLOS, which keep the aspect ratio, it is the short side, rounded as by
  the checkpoint's processor. For RT-DETR, RT-DETRv2, D-FINE and SAM 2 it is the side of a square,
  a multiple of 32.
- ``small_inputs``: whether to prepare the first images for smaller inputs too, of about 0.8 of
  both sides, which images ask for with `UploadedImage.small_inputs`.

They raise a `ModelError` if the model is not usable, and a `ConfigError` if an argument is none of
these values. They never access the internet.
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING, TypedDict

from robot_perception.core import lazy_attributes, Stage
from robot_perception.models.catalogue import (
    CATALOGUE,
    CatalogueRow,
    DEMO,
    DEMO_FOLDER,
    DEMO_WORDS,
    find_row,
    is_demo,
    known_models,
    STUB,
)
from robot_perception.models.detector_masks import DetectorMasks
from robot_perception.models.device_errors import (
    free_device_memory,
    is_fatal,
    is_out_of_memory,
)
from robot_perception.models.families import DESCRIBER
from robot_perception.models.interfaces import (
    DepthEstimator,
    Describer,
    Detector,
    FeatureClassifier,
    FeatureExtractor,
    ImageEmbedding,
    ImageTextEncoder,
    PromptedDetector,
    PromptedNetwork,
    PromptedSemanticSegmenter,
    SceneClassifier,
    Segmenter,
    SemanticSegmenter,
    SensorDepthEstimator,
)
from robot_perception.models.runtimes import RUNTIME_CHOICES, TORCH
from robot_perception.models.runtimes.long_work import long_work
from robot_perception.models.scene_labels import choose_labels
from robot_perception.models.stub import (
    StubDepthEstimator,
    StubDescriber,
    StubDetector,
    StubFeatureExtractor,
    StubSceneClassifier,
    StubSegmenter,
    StubSemanticSegmenter,
)
from robot_perception.models.uploaded_image import UploadedImage

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Unpack  # typing has it from Python 3.11 on

    from robot_perception.models.checkpoint import (
        cache_folder,
        find_checkpoint,
        is_onnx_file,
        locate_checkpoint,
        pulled_models,
        read_checkpoint,
    )
    from robot_perception.models.device import check_device, limit_cpu_threads
    from robot_perception.models.download import pull
    from robot_perception.models.installation import check_installation, describe_cuda
    from robot_perception.models.licenses import find_license, license_notes
    from robot_perception.models.network import load_network, write_checkpoint
    from robot_perception.models.preprocess import Preprocessor
    from robot_perception.models.published import write_random_checkpoint
    from robot_perception.models.reference import load_reference, REFERENCE_MODELS
    from robot_perception.models.resize import Exactly
    from robot_perception.models.runtimes.choice import Backend, backends_at_hand
    from robot_perception.models.stage_benchmark import (
        BOXES_XYXY,
        compare_stage,
        run_stage,
        StageDifference,
        working_memory_mib,
    )


class NetworkOptions(TypedDict, total=False):
    """Arguments of all builders."""

    device: str
    precision: str
    runtime: str
    input_size: int
    small_inputs: bool


def build_feature_extractor(model: str, **options: Unpack[NetworkOptions]) -> FeatureExtractor:
    """Build the feature extractor (parameter ``features.model``)."""
    extractor: FeatureExtractor = _build(Stage.FEATURES, StubFeatureExtractor, model, options)
    return extractor


def build_depth_estimator(
    model: str, **options: Unpack[NetworkOptions]
) -> DepthEstimator | SensorDepthEstimator:
    """Build the depth network (parameter ``depth.model``)."""
    estimator: DepthEstimator | SensorDepthEstimator = _build(
        Stage.DEPTH, StubDepthEstimator, model, options
    )
    return estimator


def build_detector(model: str, **options: Unpack[NetworkOptions]) -> Detector | PromptedDetector:
    """Build the detector (parameter ``detector.model``)."""
    detector: Detector | PromptedDetector = _build(Stage.DETECTOR, StubDetector, model, options)
    return detector


def build_segmenter(model: str, **options: Unpack[NetworkOptions]) -> Segmenter:
    """Build the segmenter (parameter ``segmenter.model``)."""
    segmenter: Segmenter = _build(Stage.SEGMENTER, StubSegmenter, model, options)
    return segmenter


def build_semantic_segmenter(
    model: str, **options: Unpack[NetworkOptions]
) -> SemanticSegmenter | PromptedSemanticSegmenter:
    """Build the network of every pixel (parameter ``semantics.model``)."""
    segmenter: SemanticSegmenter | PromptedSemanticSegmenter = _build(
        Stage.SEMANTICS, StubSemanticSegmenter, model, options
    )
    return segmenter


def build_scene_classifier(model: str, **options: Unpack[NetworkOptions]) -> SceneClassifier:
    """Build the classifier of the whole image (parameter ``scene.model``)."""
    classifier: SceneClassifier = _build(Stage.SCENE, StubSceneClassifier, model, options)
    return classifier


def _build(stage: Stage, stub: Callable[[], object], model: str, options: NetworkOptions) -> Any:  # noqa: ANN401 - the interface of the stage
    if model == STUB:
        return stub()
    # They import torch.
    from robot_perception.models.checkpoint import find_checkpoint  # noqa: PLC0415
    from robot_perception.models.stage_classes import stage_class  # noqa: PLC0415

    checkpoint = find_checkpoint(model, stage)
    return stage_class(checkpoint)(checkpoint, **options)


def build_describer(model: str, *, device: str = 'auto', precision: str = 'auto') -> Describer:
    """Build the network that answers questions (parameter ``describer.model``).

    Its precision ``'auto'`` is bf16 on CUDA, and fp32 on a CPU. There is no ``'demo'``.
    """
    if model == STUB:
        return StubDescriber()
    # They import torch.
    from robot_perception.models.checkpoint import find_checkpoint  # noqa: PLC0415
    from robot_perception.models.describer import NetworkDescriber  # noqa: PLC0415

    checkpoint = find_checkpoint(model, DESCRIBER)
    return NetworkDescriber(checkpoint, device=device, precision=precision)


__all__ = [
    'BOXES_XYXY',
    'CATALOGUE',
    'DEMO',
    'DEMO_FOLDER',
    'DEMO_WORDS',
    'DESCRIBER',
    'REFERENCE_MODELS',
    'RUNTIME_CHOICES',
    'STUB',
    'TORCH',
    'Backend',
    'CatalogueRow',
    'DepthEstimator',
    'Describer',
    'Detector',
    'DetectorMasks',
    'Exactly',
    'FeatureClassifier',
    'FeatureExtractor',
    'ImageEmbedding',
    'ImageTextEncoder',
    'NetworkOptions',
    'Preprocessor',
    'PromptedDetector',
    'PromptedNetwork',
    'PromptedSemanticSegmenter',
    'SceneClassifier',
    'Segmenter',
    'SemanticSegmenter',
    'SensorDepthEstimator',
    'StageDifference',
    'StubDepthEstimator',
    'StubDescriber',
    'StubDetector',
    'StubFeatureExtractor',
    'StubSceneClassifier',
    'StubSegmenter',
    'StubSemanticSegmenter',
    'UploadedImage',
    'backends_at_hand',
    'build_depth_estimator',
    'build_describer',
    'build_detector',
    'build_feature_extractor',
    'build_scene_classifier',
    'build_segmenter',
    'build_semantic_segmenter',
    'cache_folder',
    'check_device',
    'check_installation',
    'choose_labels',
    'compare_stage',
    'describe_cuda',
    'find_checkpoint',
    'find_license',
    'find_row',
    'free_device_memory',
    'is_demo',
    'is_fatal',
    'is_onnx_file',
    'is_out_of_memory',
    'known_models',
    'license_notes',
    'limit_cpu_threads',
    'load_network',
    'load_reference',
    'locate_checkpoint',
    'long_work',
    'pull',
    'pulled_models',
    'read_checkpoint',
    'run_stage',
    'working_memory_mib',
    'write_checkpoint',
    'write_random_checkpoint',
]

__getattr__ = lazy_attributes(
    __name__,
    {
        'cache_folder': 'checkpoint',
        'find_checkpoint': 'checkpoint',
        'is_onnx_file': 'checkpoint',
        'locate_checkpoint': 'checkpoint',
        'pulled_models': 'checkpoint',
        'read_checkpoint': 'checkpoint',
        'check_device': 'device',
        'check_installation': 'installation',
        'describe_cuda': 'installation',
        'license_notes': 'licenses',
        'find_license': 'licenses',
        'limit_cpu_threads': 'device',
        'write_checkpoint': 'network',
        'load_network': 'network',
        'Preprocessor': 'preprocess',
        'pull': 'download',
        'Exactly': 'resize',
        'BOXES_XYXY': 'stage_benchmark',
        'REFERENCE_MODELS': 'reference',
        'load_reference': 'reference',
        'StageDifference': 'stage_benchmark',
        'compare_stage': 'stage_benchmark',
        'backends_at_hand': 'runtimes.choice',
        'Backend': 'runtimes.choice',
        'run_stage': 'stage_benchmark',
        'working_memory_mib': 'stage_benchmark',
        'write_random_checkpoint': 'published',
    },
)
