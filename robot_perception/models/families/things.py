"""Which classes of a checkpoint are things, whose objects a network separates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robot_perception.models.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class _DataSet:
    """Classes of a data set.

    Attributes:
        count: of classes.
        names: id -> name, of some classes by which it is recognized.
        things: ids.
        is_often_semantic: whether there are networks for classes alone whose name does not state
            that, so that a panoptic one has to state it.
    """

    count: int
    names: Mapping[int, str]
    things: frozenset[int]
    is_often_semantic: bool = False


# ADE20k has its things and stuff in one order by frequency.
_ADE_STUFF = frozenset(
    (
        *(0, 1, 2, 3, 4, 5, 6, 9, 11, 13, 16, 17, 21, 25, 26, 28, 29, 34, 40, 46, 48, 51, 52, 54),
        *(59, 60, 61, 63, 68, 77, 79, 84, 91, 94, 96, 99, 100, 101, 105, 106, 109, 113, 114),
        *(117, 122, 128, 131, 140, 141, 145),
    )
)
_COCO = _DataSet(133, {0: 'person'}, frozenset(range(80)))
_CITYSCAPES = _DataSet(19, {11: 'person'}, frozenset(range(11, 19)))
_ADE20K = _DataSet(
    150,
    {0: 'wall', 12: 'person', 149: 'flag'},
    frozenset(range(150)) - _ADE_STUFF,
    is_often_semantic=True,
)


def find_things(checkpoint: Checkpoint, class_names: Sequence[str]) -> frozenset[int] | None:
    """Return the ids of things; None if the checkpoint is for classes alone, or has unknown ones.

    They stand as ``thing_ids`` in ``metadata`` of preprocessor_config.json, as in that of
    OneFormer; otherwise COCO, Cityscapes and ADE20k are recognized by their classes. Whether a
    checkpoint was trained to separate objects, only its name states; every OneFormer was.
    """
    metadata = checkpoint.preprocessor.get('metadata')
    ids = metadata.get('thing_ids') if isinstance(metadata, Mapping) else None
    if isinstance(ids, list):
        return frozenset(index for index in ids if isinstance(index, int))
    if 'semantic' in checkpoint.name:
        return None
    if 'instance' in checkpoint.name:
        return frozenset(range(len(class_names)))
    is_panoptic = 'panoptic' in checkpoint.name or checkpoint.family == 'oneformer'
    for data_set in (_COCO, _CITYSCAPES, _ADE20K):
        if _has_classes(data_set, class_names):
            return data_set.things if is_panoptic or not data_set.is_often_semantic else None
    return None


def _has_classes(data_set: _DataSet, class_names: Sequence[str]) -> bool:
    """Return whether the classes are those of a data set; further names may follow a comma."""
    return len(class_names) == data_set.count and all(
        class_names[index].partition(',')[0].strip() == name
        for index, name in data_set.names.items()
    )
