"""What things are: images, cameras, depth, objects, scenes. Needs numpy and nothing else."""

from robot_perception.core.box3d import Box3D
from robot_perception.core.camera import CameraModel
from robot_perception.core.depth import Depth, MetricDepth, RelativeDepth
from robot_perception.core.depth_fit import DepthFit, scaled
from robot_perception.core.detections import Detections
from robot_perception.core.features import SceneFeatures
from robot_perception.core.image import Image
from robot_perception.core.labelled_points import LabelledPoints
from robot_perception.core.masks import Masks
from robot_perception.core.plane import Plane
from robot_perception.core.pointcloud import PointCloud
from robot_perception.core.scene import ObjectPosition, Scene, SceneObject

__all__ = [
    'Box3D',
    'CameraModel',
    'Depth',
    'DepthFit',
    'Detections',
    'Image',
    'LabelledPoints',
    'Masks',
    'MetricDepth',
    'ObjectPosition',
    'Plane',
    'PointCloud',
    'RelativeDepth',
    'Scene',
    'SceneFeatures',
    'SceneObject',
    'scaled',
]
