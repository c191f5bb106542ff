"""Pictures and files of a scene, for people: overlay, depth, features, masks, cloud, page."""

from typing import TYPE_CHECKING

from robot_perception.core import class_color, instance_color, lazy_attributes
from robot_perception.viewer.chart import Bar, bar_chart, Column, Line, line_chart
from robot_perception.viewer.cloud import draw_cloud
from robot_perception.viewer.depth import draw_depth, draw_depth_with_scale
from robot_perception.viewer.export import Exporter, Kind, to_millimeters
from robot_perception.viewer.features import draw_features
from robot_perception.viewer.files import (
    encode_jpeg,
    encode_png,
    encode_scene,
    scene_files,
    write_picture,
    write_scene,
)
from robot_perception.viewer.frame_data import frame_data, frame_pictures, summarize
from robot_perception.viewer.frame_stems import FrameStems
from robot_perception.viewer.gallery import Gallery
from robot_perception.viewer.labels import format_classes, format_labels
from robot_perception.viewer.overlay import draw_instances, draw_overlay
from robot_perception.viewer.page import Link, render, Step
from robot_perception.viewer.ply import write_ply
from robot_perception.viewer.ports import check_ports
from robot_perception.viewer.scale import depth_gradient
from robot_perception.viewer.scene_json import (
    answer_to_dict,
    encode_json,
    JsonValue,
    scene_to_dict,
    write_scene_json,
)
from robot_perception.viewer.search_page import FoundImage, make_thumbnail, search_page
from robot_perception.viewer.table import Cell, Table
from robot_perception.viewer.text import draw_text, fit_text, text_size_px

if TYPE_CHECKING:
    from robot_perception.viewer.foxglove_target import serve_foxglove
    from robot_perception.viewer.rerun_targets import (
        check_screen,
        open_viewer,
        save_recording,
        serve_viewer,
    )

# They import rerun or foxglove, which are optional.
__getattr__ = lazy_attributes(
    __name__,
    {
        'serve_foxglove': 'foxglove_target',
        **dict.fromkeys(
            ('check_screen', 'open_viewer', 'serve_viewer', 'save_recording'),
            'rerun_targets',
        ),
    },
)

__all__ = [
    'Bar',
    'Cell',
    'Column',
    'Exporter',
    'FoundImage',
    'FrameStems',
    'Gallery',
    'JsonValue',
    'Kind',
    'Line',
    'Link',
    'Step',
    'Table',
    'answer_to_dict',
    'bar_chart',
    'check_ports',
    'check_screen',
    'class_color',
    'depth_gradient',
    'draw_cloud',
    'draw_depth',
    'draw_depth_with_scale',
    'draw_features',
    'draw_instances',
    'draw_overlay',
    'draw_text',
    'encode_jpeg',
    'encode_json',
    'encode_png',
    'encode_scene',
    'fit_text',
    'format_classes',
    'format_labels',
    'frame_data',
    'frame_pictures',
    'instance_color',
    'line_chart',
    'make_thumbnail',
    'open_viewer',
    'render',
    'save_recording',
    'scene_files',
    'scene_to_dict',
    'search_page',
    'serve_foxglove',
    'serve_viewer',
    'summarize',
    'text_size_px',
    'to_millimeters',
    'write_picture',
    'write_ply',
    'write_scene',
    'write_scene_json',
]
