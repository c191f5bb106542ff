"""Image files of any origin: whether they are safe to decode, and their pixels."""

from robot_perception.image_files.decoding import decode_image, is_image, Remark
from robot_perception.image_files.exif import Exif, read_exif
from robot_perception.image_files.limits import PixelLimit
from robot_perception.image_files.png import SIGNATURE as PNG_SIGNATURE
from robot_perception.image_files.reading import read_image_exif, read_image_file

__all__ = [
    'PNG_SIGNATURE',
    'Exif',
    'PixelLimit',
    'Remark',
    'decode_image',
    'is_image',
    'read_exif',
    'read_image_exif',
    'read_image_file',
]
