"""Scenes of a video, a folder or a bag in one call."""

from bags import generated_frames, write_rgbd_bag
import cv2
import numpy as np

import robot_perception
from robot_perception import PerceptionPipeline

PIPELINE = PerceptionPipeline.from_preset('stub', device='cpu')


def test_a_bag(tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(5, (24, 32)))
    notes = []
    scenes = list(robot_perception.process_stream(PIPELINE, tmp_path / 'bag', note=notes.append))
    assert len(scenes) == 5
    assert all(scene.camera is not None and scene.cloud() is not None for scene in scenes)
    assert notes == []
    stamps = [scene.image.stamp_ns for scene in scenes]
    assert stamps == sorted(set(stamps))


def test_a_folder_of_images(tmp_path):
    images = [np.full((24, 32, 3), value, np.uint8) for value in (10, 200)]
    for index, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f'{index}.png'), image)
    scenes = list(robot_perception.process_stream(PIPELINE, str(tmp_path)))
    for scene, image in zip(scenes, images, strict=True):
        np.testing.assert_array_equal(scene.image.rgb, image)
