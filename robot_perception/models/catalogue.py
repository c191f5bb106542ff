"""Checkpoints that can be named by their id; others are named by their folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_perception.core import Stage

STUB = 'stub'
DEMO = 'demo'
# Networks and calibrations shipped with the package, fitted to its demo world.
DEMO_FOLDER = Path(__file__).parent / DEMO
_COMMIT_LENGTH = 40


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One published checkpoint.

    Attributes:
        model: id on the Hugging Face Hub, which is also the value of the parameter.
        task: the stage it is for.
        family: the architecture.
        revision: the commit that is loaded, 40 hexadecimal digits; or ``'main'`` if no commit
            has been verified, in which case the commit that was pulled last is loaded.
        license: of the weights, as an SPDX identifier.
        unit: of the results.
        size_mb: of the download, in megabytes, rounded.
        description: one line for a listing.
    """

    model: str
    task: Stage
    family: str
    revision: str
    license: str
    unit: str
    size_mb: int
    description: str

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is one commit, so that every machine loads the same weights."""
        return len(self.revision) == _COMMIT_LENGTH


CATALOGUE: tuple[CatalogueRow, ...] = (
    CatalogueRow(
        'facebook/dinov2-small',
        Stage.FEATURES,
        'DINOv2',
        'ed25f3a31f01632728cabb09d1542f84ab7b0056',
        'Apache-2.0',
        'unitless vectors of 384',
        88,
        'scene and patch features',
    ),
    CatalogueRow(
        'depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf',
        Stage.DEPTH,
        'Depth Anything V2',
        '8078d68a9c75a972131914f6afd0c1723be0da7f',
        'Apache-2.0',
        'meters, up to 20',
        99,
        'metric depth, trained indoors',
    ),
    CatalogueRow(
        'facebook/detr-resnet-50',
        Stage.DETECTOR,
        'DETR',
        '1d5f47bd3bdd2c4bbfa585418ffe6da5028b4c0b',
        'Apache-2.0',
        'pixels, scores 0 to 1',
        167,
        'objects of COCO, ResNet-50',
    ),
    CatalogueRow(
        'ustc-community/dfine-nano-coco',
        Stage.DETECTOR,
        'D-FINE',
        'main',
        'Apache-2.0',
        'pixels, scores 0 to 1',
        15,
        'objects of COCO, cheap enough for a CPU; no commit is pinned',
    ),
    CatalogueRow(
        'facebook/sam2.1-hiera-tiny',
        Stage.SEGMENTER,
        'SAM 2',
        'de431c4043854a71d8101e17995dfe596bf101a5',
        'Apache-2.0',
        'pixels, scores 0 to 1',
        156,
        'masks of boxes',
    ),
)


def find_row(model: str) -> CatalogueRow | None:
    """Return the row of ``model``, or None if the catalogue has none.

    >>> find_row('facebook/dinov2-small').task
    'features'
    """
    return next((row for row in CATALOGUE if row.model == model), None)


def known_models(task: Stage | None = None) -> tuple[str, ...]:
    """Return ids of the catalogue, of one stage or of all."""
    return tuple(row.model for row in CATALOGUE if task in (None, row.task))
