"""Recordings in, as streams of serialized ROS messages. Needs no ROS and no torch."""

from rosbags.typesys.store import Typestore

from robot_perception.sources.bag_file import BagFile, BagTopic, is_bag, open_bag
from robot_perception.sources.bag_metadata import read_metadata
from robot_perception.sources.bag_source import inspect_topic, lasting_samples
from robot_perception.sources.bag_topics import choose_topics, TopicWish
from robot_perception.sources.bag_writer import (
    BagWriter,
    check_new_bag,
    Compression,
    Storage,
)
from robot_perception.sources.messages import standard_types
from robot_perception.sources.opener import open_source, OPTICAL_FRAME
from robot_perception.sources.picture_folder import is_picture
from robot_perception.sources.pictures import NOMINAL_HFOV_DEG, picture_hfov_deg
from robot_perception.sources.player import play, PlayReport, Timekeeper
from robot_perception.sources.sample import IMAGE_TYPES, Role, Sample, Source
from robot_perception.sources.source_bag import BEGIN_NS, open_recording
from robot_perception.sources.storage import BagMessage, Definition
from robot_perception.sources.storage_files import is_storage_name
from robot_perception.sources.typestore import (
    decode,
    message_stamp_ns,
    message_store,
    recorded_store,
)

__all__ = [
    'BEGIN_NS',
    'IMAGE_TYPES',
    'NOMINAL_HFOV_DEG',
    'OPTICAL_FRAME',
    'BagFile',
    'BagMessage',
    'BagTopic',
    'BagWriter',
    'Compression',
    'Definition',
    'PlayReport',
    'Role',
    'Sample',
    'Source',
    'Storage',
    'Timekeeper',
    'TopicWish',
    'Typestore',
    'check_new_bag',
    'choose_topics',
    'decode',
    'inspect_topic',
    'is_bag',
    'is_picture',
    'is_storage_name',
    'lasting_samples',
    'message_stamp_ns',
    'message_store',
    'open_bag',
    'open_recording',
    'open_source',
    'picture_hfov_deg',
    'play',
    'read_metadata',
    'recorded_store',
    'standard_types',
]
