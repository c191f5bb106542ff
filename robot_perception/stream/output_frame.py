"""A processed frame, from which the outputs are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from robot_perception import conversions
from robot_perception.conversions import FrameTiming, MarkerKey, Message, MessageFactory
from robot_perception.core import (
    AnyArray,
    BoolArray,
    MetricDepth,
    PointCloud,
    Pose,
    Scene,
    SceneObject,
    transform_objects,
    transform_points,
    UInt8Array,
)
from robot_perception.pipeline import PerceptionConfig
from robot_perception.stream.target_frame import TargetFrame
from robot_perception.viewer import draw_overlay


@dataclass(frozen=True)
class OutputFrame:
    """One processed frame. What several outputs share is computed once.

    Attributes:
        factory: makes messages.
        header: the header of the input image, as a message; every output carries it unchanged,
            except those in the target frame.
        scene: the results.
        camera_info: the CameraInfo message of the image, None without one.
        timing: how long the frame took.
        config: parameters of the outputs.
        shown_markers: markers of earlier frames that viewers still show.
        target: frame of objects and of the points of objects and background; None for the optical
            frame.
    """

    factory: MessageFactory
    header: Message
    scene: Scene
    camera_info: Message | None
    timing: FrameTiming
    config: PerceptionConfig
    shown_markers: frozenset[MarkerKey] = frozenset()
    target: TargetFrame | None = None

    @property
    def target_from_optical(self) -> Pose | None:
        """Pose of the camera in the target frame; None when that is the optical frame."""
        return None if self.target is None else self.target.target_from_optical

    @cached_property
    def target_header(self) -> Message:
        """Header of results in the target frame, with the stamp of the image."""
        if self.target is None or self.target.frame_id == self.scene.image.frame_id:
            return self.header
        stamp_ns = self.scene.image.stamp_ns
        return conversions.header_message(self.factory, stamp_ns, self.target.frame_id)

    @cached_property
    def target_objects(self) -> tuple[SceneObject, ...]:
        """Objects with their positions in the target frame."""
        objects, pose = self.scene.objects, self.target_from_optical
        return objects if pose is None else transform_objects(objects, pose)

    @property
    def has_positions(self) -> bool:
        """Whether 3D positions could be computed: objects, metric depth and a calibration."""
        scene = self.scene
        is_metric = isinstance(scene.depth, MetricDepth)
        return scene.detections is not None and scene.camera is not None and is_metric

    @property
    def markers_left(self) -> frozenset[MarkerKey]:
        """Markers that viewers show after this frame."""
        if self.scene.detections is None:
            return self.shown_markers
        return conversions.marker_keys(self.target_objects)

    @property
    def image_from_optical(self) -> Pose | None:
        """Pose of the camera in the frame of the header; None when that is the optical frame."""
        return None if self.target is None else self.target.image_from_optical

    @property
    def header_scene(self) -> Scene:
        """The results with positions in the frame of the header."""
        pose, scene = self.image_from_optical, self.scene
        if pose is None:
            return scene
        return replace(scene, objects=transform_objects(scene.objects, pose))

    @cached_property
    def _cloud(self) -> PointCloud | None:
        return self.scene.cloud()

    @cached_property
    def _points(self) -> AnyArray | None:
        return None if self._cloud is None else conversions.pack_cloud(self._cloud)

    @property
    def header_points(self) -> AnyArray | None:
        """The point cloud in the frame of the header.

        (H, W) records of `pack_cloud`; None without metric depth or calibration.
        """
        pose, cloud = self.image_from_optical, self._cloud
        if pose is None or cloud is None:
            return self._points
        return conversions.pack_cloud(transform_points(cloud, pose))

    @cached_property
    def overlay(self) -> UInt8Array:
        """The image with its objects drawn on it, (H, W, 3) uint8 rgb."""
        return draw_overlay(self.scene, caption=self.config.caption)

    @property
    def labels(self) -> AnyArray | None:
        """Class and instance of each pixel; None without masks.

        Without detector or segmenter they are those of the network of every pixel.
        (H, W) records of `label_table`.
        """
        masks, detections = self.scene.masks, self.scene.detections
        if not self.config.has_masks:
            semantics = self.scene.semantics
            return None if semantics is None else conversions.semantic_labels(semantics)
        if masks is None or detections is None:
            return None
        return conversions.label_table(detections.class_ids).take(masks.instance_map())

    def select_points(self, *, of_objects: bool) -> AnyArray | None:
        """Return the known points of the objects or of the background, in the optical frame.

        (N,) records of `add_labels`; None without metric depth, calibration or masks.
        """
        points, is_known = self._points, self._is_known
        masks, detections = self.scene.masks, self.scene.detections
        if points is None or is_known is None or masks is None or detections is None:
            return None
        instances = masks.instance_map()
        is_selected = is_known & (instances > 0 if of_objects else instances == 0)
        selected = conversions.select_records(points, is_selected)
        if not of_objects:
            return conversions.add_labels(selected, None)
        labels = conversions.label_table(detections.class_ids).take(instances[is_selected])
        return conversions.add_labels(selected, labels)

    def select_ground(self, *, of_ground: bool) -> AnyArray | None:
        """Return the known points of the ground or of everything else, in the optical frame.

        (N,) records of `add_labels`; None where the ground is not separated, and without metric
        depth or calibration.
        """
        is_ground, points = self._is_ground, self._points
        if is_ground is None or points is None:
            return None
        is_selected = self._is_known & (is_ground == of_ground)
        labels = None if self.labels is None else self.labels[is_selected]
        return conversions.add_labels(conversions.select_records(points, is_selected), labels)

    @cached_property
    def _is_ground(self) -> BoolArray | None:
        """Whether each pixel is of the ground, (H, W), by its class or else by the plane."""
        limits, semantics, ground = self.config.points, self.scene.semantics, self.scene.ground
        if self.config.has_ground_classes:
            if semantics is None:
                return None
            wanted = {name.casefold() for name in limits.ground_names}
            names = enumerate(semantics.class_names)
            ids = [index for index, name in names if name.casefold() in wanted]
            return np.isin(semantics.classes, ids)
        if self._cloud is None or not limits.remove_ground:
            return None
        if ground is None:
            return np.zeros(self.scene.image.size_hw, np.bool_)
        heights_m = ground.heights_m(self._cloud.xyz_m.reshape(-1, 3))
        is_ground: BoolArray = heights_m <= limits.ground_tolerance_m
        return is_ground.reshape(self.scene.image.size_hw)

    @cached_property
    def _is_known(self) -> BoolArray | None:
        return None if self._cloud is None else np.isfinite(self._cloud.xyz_m[..., 2])
