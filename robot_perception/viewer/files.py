"""Everything that is worth keeping of one scene, as files."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path

import cv2

from robot_perception.core import (
    make_folder,
    OutputError,
    Scene,
    UInt8Array,
    UInt16Array,
    write_bytes,
)
from robot_perception.viewer.cloud import draw_cloud
from robot_perception.viewer.depth import draw_depth_with_scale
from robot_perception.viewer.features import draw_features
from robot_perception.viewer.overlay import draw_instances, draw_overlay
from robot_perception.viewer.ply import encode_ply
from robot_perception.viewer.scene_json import encode_json, scene_to_dict
from robot_perception.viewer.semantics import draw_semantics

_PICTURES = ('overlay', 'depth', 'features', 'semantics', 'instances', 'cloud')
_WIDEST_PX = 1920
# Full HD is written whole; of photographs with more pixels a part is as good.
_MAX_POINTS = 2**21
# Without subsampling of colors, which blurs labels.
_JPEG = (
    *(cv2.IMWRITE_JPEG_QUALITY, 88),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)


def write_scene(
    scene: Scene, folder: str | os.PathLike[str], stem: str, *, caption: str = ''
) -> list[Path]:
    """Write the pictures, the cloud and the description of a scene.

    What the scene lacks is not written. Files of the same name are replaced.

    Args:
        scene: what to write.
        folder: made where it is missing.
        stem: beginning of the names: ``STEM_overlay.png``, ``STEM_depth.png``,
            ``STEM_features.png``, ``STEM_semantics.png``, ``STEM_instances.png``,
            ``STEM_cloud.png``, ``STEM.ply`` and ``STEM_scene.json``.
        caption: written on the overlay, empty for none.

    Returns:
        Paths of the files, in that order.

    Raises:
        OutputError: a file cannot be written. Those before it stay; none is half-written.
    """
    target = Path(folder)
    if not stem or Path(stem).name != stem:
        raise OutputError(
            'bad_name', f'stem: expected a plain file name, got {stem!r}. Put the rest in folder.'
        )
    make_folder(target)
    written = []
    for name, data in encode_scene(scene, stem, caption=caption):
        written.append(target / name)
        write_bytes(written[-1], data)
    return written


def encode_scene(scene: Scene, stem: str, *, caption: str = '') -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file that `write_scene` writes."""
    for name, picture in _pictures(scene, caption):
        yield f'{stem}_{name}.png', encode_png(picture)
    cloud = scene.cloud(max_points=_MAX_POINTS)
    if cloud is not None:
        yield f'{stem}.ply', encode_ply(cloud)
    yield f'{stem}_scene.json', encode_json(scene_to_dict(scene))


def scene_files(folder: Path, stem: str) -> list[Path]:
    """Return all files that `write_scene` may write."""
    names = (*(f'{stem}_{name}.png' for name in _PICTURES), f'{stem}.ply', f'{stem}_scene.json')
    return [folder / name for name in names]


def write_picture(picture: UInt8Array | UInt16Array, path: str | os.PathLike[str]) -> None:
    """Write what `encode_png` takes into a file, made or replaced in a folder that exists.

    Raises:
        OutputError: the file cannot be written; no half-written file is left.
    """
    write_bytes(Path(path), encode_png(picture))


def encode_png(picture: UInt8Array | UInt16Array) -> bytes:
    """Return a picture as PNG, exact: (H, W, 3) uint8 rgb, or (H, W) uint8 or uint16."""
    is_color = picture.ndim > 2  # noqa: PLR2004 - rows and columns
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if is_color else picture
    _, encoded = cv2.imencode('.png', pixels)
    return bytes(encoded)


def encode_jpeg(picture: UInt8Array) -> bytes:
    """Return a picture, (H, W, 3) uint8 rgb, as JPEG, at most 1920 pixels wide.

    Raises:
        OutputError: JPEG has no such size.
    """
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    if bgr.shape[1] > _WIDEST_PX:
        scale = _WIDEST_PX / bgr.shape[1]
        bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode('.jpg', bgr, _JPEG)
    if not done:
        raise OutputError(
            'cannot_encode',
            f'picture: expected a size that JPEG has, got {bgr.shape[1]}x{bgr.shape[0]}. '
            'Crop the image.',
        )
    return bytes(encoded)


def _pictures(scene: Scene, caption: str) -> Iterator[tuple[str, UInt8Array]]:
    size_hw = _limited(scene.image.size_hw)
    yield 'overlay', draw_overlay(scene, caption=caption)
    if scene.depth is not None:
        yield 'depth', draw_depth_with_scale(scene.depth)
    # Recorded features have their patches only where these were asked for.
    if scene.features is not None and scene.features.patches.size:
        yield 'features', draw_features(scene.features, size_hw)
    if scene.semantics is not None:
        yield 'semantics', draw_semantics(scene, scene.semantics)
    if scene.masks is not None:
        yield 'instances', draw_instances(scene.masks, scene.objects)
    cloud = scene.cloud(max_points=_MAX_POINTS)
    if cloud is not None:
        yield 'cloud', draw_cloud(cloud, size_hw)


def _limited(size_hw: tuple[int, int]) -> tuple[int, int]:
    """Return a size of at most 1920 columns, for pictures with less detail than the image."""
    scale = min(1.0, _WIDEST_PX / size_hw[1])
    return max(1, round(size_hw[0] * scale)), max(1, round(size_hw[1] * scale))
