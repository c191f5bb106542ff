"""Checkpoints that can be named by their id; others are named by their folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_perception.core import Stage
from robot_perception.models.families import DESCRIBER

STUB = 'stub'
DEMO = 'demo'
DEMO_WORDS = 'demo/mm_grounding_dino'
"""The detector of the package that takes prompts."""
# Networks and calibrations shipped with the package, fitted to its demo world.
DEMO_FOLDER = Path(__file__).parent / DEMO


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One published checkpoint.

    Attributes:
        model: id on the Hugging Face Hub, which is also the value of the parameter.
        task: the stage it is for, or ``DESCRIBER``.
        family: the architecture.
        revision: the commit that is loaded, 40 hexadecimal digits; empty if it is not pinned.
        sha256: checksum of its model.safetensors, 64 hexadecimal digits; empty if not pinned.
        license: of the weights, as an SPDX identifier; ``other: NAME`` if it has none.
        unit: of the results.
        size_mb: of the download, in megabytes, rounded.
        accuracy: figure published by the authors, with its data set.
        source: where that figure is published.
        description: one line for a listing.
        is_gated: whether the Hub gives it only to those whose acceptance of its license the owner
            has approved.
    """

    model: str
    task: str
    family: str
    revision: str
    sha256: str
    license: str
    unit: str
    size_mb: int
    accuracy: str
    source: str
    description: str
    is_gated: bool = False

    @property
    def is_pinned(self) -> bool:
        """Whether commit and checksum are fixed here, and not by the first download."""
        return bool(self.revision)


CATALOGUE: tuple[CatalogueRow, ...] = (
    CatalogueRow(
        model='facebook/dinov2-small',
        task=Stage.FEATURES,
        family='DINOv2',
        revision='ed25f3a31f01632728cabb09d1542f84ab7b0056',
        sha256='ae1e99fcefd534ed978cdeb8326f08030c96e28b7a81ffcbc98a857c84d14be1',
        license='Apache-2.0',
        unit='unitless vectors of 384',
        size_mb=88,
        accuracy='ImageNet k-NN 79.0 %',
        source='github.com/facebookresearch/dinov2',
        description='scene and patch features',
    ),
    CatalogueRow(
        model='depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf',
        task=Stage.DEPTH,
        family='Depth Anything V2',
        revision='8078d68a9c75a972131914f6afd0c1723be0da7f',
        sha256='e990eb82fbf11b05b7813261196a2b841bdcf5a05f64396724a8987fa90504a3',
        license='Apache-2.0',
        unit='meters, up to 20',
        size_mb=99,
        # The figures of the paper belong to weights trained on NYUv2, which are others.
        accuracy='none for these weights',
        source='',
        description='metric depth, trained indoors',
    ),
    CatalogueRow(
        model='facebook/detr-resnet-50',
        task=Stage.DETECTOR,
        family='DETR',
        revision='1d5f47bd3bdd2c4bbfa585418ffe6da5028b4c0b',
        sha256='830f5e2eeaada8c8c8281779dcc8ab12833972eb8514ed0a35be6c1d4420ad81',
        license='Apache-2.0',
        unit='pixels, scores 0 to 1',
        size_mb=167,
        accuracy='COCO AP 42.0',
        source='github.com/facebookresearch/detr',
        description='objects of COCO, ResNet-50',
    ),
    CatalogueRow(
        model='PekingU/rtdetr_v2_r18vd',
        task=Stage.DETECTOR,
        family='RT-DETRv2',
        revision='5650961749fa93567c0d46fc7f43ea4f9e914107',
        sha256='d18309d0d7ea57048138885c4c6ecfcb1e24506fc6153b94ad484f8ab62c7115',
        license='Apache-2.0',
        unit='pixels, scores 0 to 1',
        size_mb=81,
        accuracy='COCO AP 48.1',
        source='github.com/lyuwenyu/RT-DETR',
        description='objects of COCO, ResNet-18',
    ),
    CatalogueRow(
        model='ustc-community/dfine-nano-coco',
        task=Stage.DETECTOR,
        family='D-FINE',
        revision='066438d3d8f0da137a37b38fdf3368fd4afceced',
        sha256='19e06bdc873da819920a8d373b879721a5b9759d822f8213220bb09abbdab58b',
        license='Apache-2.0',
        unit='pixels, scores 0 to 1',
        size_mb=15,
        accuracy='COCO AP 42.8',
        source='github.com/Peterande/D-FINE',
        description='objects of COCO, cheap enough for a CPU',
    ),
    CatalogueRow(
        model='facebook/sam2.1-hiera-tiny',
        task=Stage.SEGMENTER,
        family='SAM 2',
        revision='de431c4043854a71d8101e17995dfe596bf101a5',
        sha256='48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7',
        license='Apache-2.0',
        unit='pixels, scores 0 to 1',
        size_mb=156,
        accuracy='SA-V test J&F 76.5 (video)',
        source='github.com/facebookresearch/sam2',
        description='masks of boxes',
    ),
    CatalogueRow(
        model='yonigozlan/EdgeTAM-hf',
        task=Stage.SEGMENTER,
        family='EdgeTAM',
        # No public record of its commit and checksum was found.
        revision='',
        sha256='',
        license='Apache-2.0',
        unit='pixels, scores 0 to 1',
        size_mb=56,
        accuracy='SA-V test J&F 71.7 (video)',
        source='github.com/facebookresearch/EdgeTAM',
        description='masks of boxes, for small computers',
    ),
    CatalogueRow(
        model='facebook/sam3',
        task=Stage.SEGMENTER,
        family='SAM 3 tracker',
        # Of its commit the checksum of other files is public, that of model.safetensors is not.
        revision='',
        sha256='',
        license='other: SAM License',
        unit='pixels, scores 0 to 1',
        size_mb=3440,
        accuracy='none for masks of boxes',
        source='github.com/facebookresearch/sam3',
        description='masks of boxes, by the largest encoder',
        is_gated=True,
    ),
    CatalogueRow(
        model='openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det',
        task=Stage.DETECTOR,
        family='MM-Grounding-DINO',
        # No public record of its commit and checksum was found.
        revision='',
        sha256='',
        license='Apache-2.0',
        unit='pixels, scores 0 to 1',
        size_mb=693,
        accuracy='COCO AP 50.6 (zero-shot)',
        source='github.com/open-mmlab/mmdetection',
        description='objects that prompts describe, Swin-T',
    ),
    CatalogueRow(
        model='tue-mps/coco_panoptic_eomt_small_640_2x',
        task=Stage.SEMANTICS,
        family='EoMT',
        # Of its commit only seven digits are public, of its checksum nothing.
        revision='',
        sha256='',
        license='MIT',
        unit='pixels, scores 0 to 1',
        size_mb=96,
        accuracy='COCO PQ 46.7',
        source='github.com/tue-mps/eomt',
        description='133 classes of COCO at every pixel, with objects, DINOv2-S',
    ),
    CatalogueRow(
        model='google/siglip2-base-patch16-224',
        task=Stage.SCENE,
        family='SigLIP 2',
        revision='75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2',
        sha256='612923381c76ec5a9bed335d1c48827e3f2e506ac31b044b63b2031fadee6a0b',
        license='Apache-2.0',
        unit='scores 0 to 1',
        size_mb=1540,
        accuracy='ImageNet 78.2 % (zero-shot)',
        source='arxiv.org/abs/2502.14786',
        description='classes of the whole image by any labels, text search',
    ),
    CatalogueRow(
        model='HuggingFaceTB/SmolVLM2-500M-Video-Instruct',
        task=DESCRIBER,
        family='SmolVLM2',
        revision='7b375e1b73b11138ff12fe22c8f2822d8fe03467',
        sha256='b9bfd456c9472c0acd5719d6e514c4b859891af205ee1a736552fd3497b8b0c3',
        license='Apache-2.0',
        unit='text',
        size_mb=2034,
        accuracy='Video-MME 42.2 (video)',
        source='huggingface.co/HuggingFaceTB/SmolVLM2-500M-Video-Instruct',
        description='answers to questions',
    ),
)


def find_row(model: str) -> CatalogueRow | None:
    """Return the row of ``model``, or None if the catalogue has none.

    >>> find_row('facebook/dinov2-small').task
    'features'
    """
    return next((row for row in CATALOGUE if row.model == model), None)


def is_demo(model: str) -> bool:
    """Return whether a network was trained on the demo world alone."""
    return model in {DEMO, DEMO_WORDS}


def known_models(task: str | None = None) -> tuple[str, ...]:
    """Return ids of the catalogue, of one stage or of all."""
    return tuple(row.model for row in CATALOGUE if task in (None, row.task))
