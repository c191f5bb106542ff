"""Record located_objects.npz: every third detected object of test scenes, with its true place.

Run: python test/data/record_located_objects.py (20 minutes on two cores)
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np

from robot_perception.core import DepthSource, iou_xyxy, MetricDepth
from robot_perception.pipeline import (
    load_networks,
    LocatedObjects,
    PerceptionConfig,
    PerceptionPipeline,
)
from robot_perception.world import depth_sensor_rng, render, sense_depth

SCENES = range(801_000, 801_340)
SIZE_HW = (480, 640)
MIN_IOU, MIN_VISIBILITY = 0.5, 0.25


def pairs(detections, truth) -> Iterator[tuple[int, int]]:
    """Yield the indices of detections and of true objects that they find, each once."""
    overlaps = iou_xyxy(detections.boxes_xyxy, truth.boxes_xyxy)
    names = np.array(detections.class_names)[:, None] == np.array(truth.class_names)[None]
    overlaps = np.where(names & (truth.scores >= MIN_VISIBILITY), overlaps, 0.0)
    for own in range(len(detections)):
        one = int(overlaps[own].argmax())
        if overlaps[own, one] >= MIN_IOU:
            overlaps[:, one] = 0.0
            yield own, one


def main() -> None:
    """Write the file beside this one."""
    config = PerceptionConfig.from_preset('demo', {'features.enabled': False})
    networks = load_networks(config)._asdict()
    found = defaultdict(list)
    for source in DepthSource:
        values = {'depth.source': str(source)}
        pipeline = PerceptionPipeline(config.with_values(values), **networks)
        for seed in SCENES:
            frame = render(seed, SIZE_HW)
            sensor = MetricDepth.from_millimeters(
                sense_depth(frame.depth, frame.camera, depth_sensor_rng(seed))
            )
            measured = sensor if source.uses_sensor else None
            pipeline.reset()
            scene = pipeline.process(
                frame.image, frame.camera, sensor_depth=measured, gravity_up=frame.up
            )
            true = frame.objects()
            matched = [
                (scene.objects[own], true[one].position.centroid_m)
                for own, one in pairs(scene.detections, frame.detections)
                if scene.objects[own].position is not None
            ]
            objects = LocatedObjects.measure(
                [item for item, _ in matched], scene.masks, frame.camera, measured
            )
            for item in fields(LocatedObjects):
                if item.name != 'focal_px':
                    found[f'{source}.{item.name}'] += list(getattr(objects, item.name))
            found[f'{source}.truths_m'] += [position for _, position in matched]
            found[f'{source}.focal_px'] = objects.focal_px
    arrays = {
        name: np.float32(values[::3] if isinstance(values, list) else values)
        for name, values in found.items()
    }
    np.savez_compressed(Path(__file__).parent / 'located_objects.npz', **arrays)


if __name__ == '__main__':
    main()
