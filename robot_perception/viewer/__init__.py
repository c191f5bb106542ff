"""Pictures and files of a scene, for people: overlay, depth, features, masks, cloud, page."""

from robot_perception.core.colours import class_colour, instance_colour
from robot_perception.viewer.cloud import draw_cloud
from robot_perception.viewer.depth import draw_depth, draw_depth_with_scale
from robot_perception.viewer.export import Exporter, Kind
from robot_perception.viewer.features import draw_features
from robot_perception.viewer.files import write_picture, write_scene
from robot_perception.viewer.gallery import Gallery, scene_figures
from robot_perception.viewer.masks import draw_instances
from robot_perception.viewer.overlay import draw_overlay
from robot_perception.viewer.page import Figure, Step, write_page
from robot_perception.viewer.ply import write_ply
from robot_perception.viewer.scene_json import scene_to_dict, write_scene_json
from robot_perception.viewer.table import Table

__all__ = [
    'Exporter',
    'Figure',
    'Gallery',
    'Kind',
    'Step',
    'Table',
    'class_colour',
    'draw_cloud',
    'draw_depth',
    'draw_depth_with_scale',
    'draw_features',
    'draw_instances',
    'draw_overlay',
    'instance_colour',
    'scene_figures',
    'scene_to_dict',
    'write_page',
    'write_picture',
    'write_ply',
    'write_scene',
    'write_scene_json',
]
