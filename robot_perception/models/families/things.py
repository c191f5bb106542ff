"""Which classes of a checkpoint are things, whose objects a network separates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from robot_perception.models.checkpoint import Checkpoint

# Number of classes of a data set, the name of its first thing, and the ids of its things: COCO
# panoptic, and Cityscapes.
_DATA_SETS = ((133, 'person', range(80)), (19, 'person', range(11, 19)))


def find_things(checkpoint: Checkpoint, class_names: Sequence[str]) -> frozenset[int] | None:
    """Return the ids of things; None if the checkpoint is for classes alone, or has unknown ones.

    They stand as ``thing_ids`` in ``metadata`` of preprocessor_config.json, as in that of
    OneFormer; otherwise COCO and Cityscapes are recognized by their classes. Whether a checkpoint
    was trained to separate objects, only its name states.
    """
    metadata = checkpoint.preprocessor.get('metadata')
    ids = metadata.get('thing_ids') if isinstance(metadata, Mapping) else None
    if isinstance(ids, list):
        return frozenset(index for index in ids if isinstance(index, int))
    if 'semantic' in checkpoint.name:
        return None
    if 'instance' in checkpoint.name:
        return frozenset(range(len(class_names)))
    for count, first, things in _DATA_SETS:
        if len(class_names) == count and class_names[things[0]] == first:
            return frozenset(things)
    return None
