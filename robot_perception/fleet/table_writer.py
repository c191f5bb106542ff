"""Write the tables of a recording in Parquet: frames, objects and features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from robot_perception.bag import read_results
from robot_perception.core import MetricDepth, requires, Scene, SceneObject, write_error

with requires('"robot_perception[fleet]"'):
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS_PER_GROUP = 1024
_POINT, _QUATERNION, _MATRIX = (pa.list_(pa.float64(), count) for count in (3, 4, 9))
_FRAMES = pa.schema(
    [
        *((name, pa.int32()) for name in ('frame', 'height', 'width', 'objects')),
        ('stamp_ns', pa.int64()),
        ('frame_id', pa.string()),
        *((name, pa.float64()) for name in ('fx', 'fy', 'cx', 'cy')),
        ('depth_source', pa.string()),
        ('depth_median_m', pa.float64()),
        ('depth_known', pa.float64()),
    ]
)
_OBJECTS = pa.schema(
    [
        ('frame', pa.int32()),
        ('stamp_ns', pa.int64()),
        ('object', pa.int32()),
        ('track_id', pa.int64()),
        ('class_id', pa.int32()),
        ('class_name', pa.string()),
        *((name, pa.float32()) for name in ('score', 'left', 'top', 'right', 'bottom')),
        ('mask_area', pa.int64()),
        ('truncated', pa.bool_()),
        ('occluded', pa.bool_()),
        ('depth_m', pa.float64()),
        ('centroid_m', _POINT),
        ('covariance_m2', _MATRIX),
        ('velocity_mps', _POINT),
        ('box_center_m', _POINT),
        ('box_size_m', _POINT),
        ('box_rotation_xyzw', _QUATERNION),
    ]
)


def write_tables(bag: Path, node: str, folder: Path) -> int:
    """Write the tables of a result bag as ``frames``, ``objects`` and ``features.parquet``.

    There is no table of features without features. Unknown is null.

    Args:
        bag: folder of the results.
        node: full name of the node.
        folder: to write to; its tables are replaced.

    Returns:
        The number of objects.

    Raises:
        SourceError: the bag cannot be read.
        OutputError: a table cannot be written.
    """
    objects = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        with ExitStack() as stack:
            frames = stack.enter_context(closing(_Table(folder / 'frames.parquet', _FRAMES)))
            rows = stack.enter_context(closing(_Table(folder / 'objects.parquet', _OBJECTS)))
            features: _Table | None = None
            for index, recorded in enumerate(read_results(bag, node)):
                scene = recorded.scene
                frames.add(_frame(index, scene))
                for row in _objects(index, scene):
                    objects += 1
                    rows.add(row)
                if scene.features is not None:
                    if features is None:
                        schema = _features_schema(len(scene.features.vector))
                        path = folder / 'features.parquet'
                        features = stack.enter_context(closing(_Table(path, schema)))
                    features.add(
                        {
                            'frame': index,
                            'stamp_ns': scene.image.stamp_ns,
                            'model': scene.features.model,
                            'vector': scene.features.vector,
                        }
                    )
    except (OSError, pa.ArrowException) as error:
        raise write_error(folder, error) from error
    return objects


class _Table:
    """Writes rows to a file, in groups; closing it writes the rest."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression='zstd')
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == _ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        try:
            self._flush()
        finally:
            self._writer.close()

    def _flush(self) -> None:
        columns = [
            _column(field.type, [row.get(field.name) for row in self._rows])
            for field in self._schema
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._rows.clear()


def _column(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Return values, of which None is null, as an array.

    `pyarrow.array` would do, but imports pandas, which takes half the memory of a worker.
    """
    count = len(values)
    known = np.array([value is not None for value in values], bool)
    validity = None if known.all() else _bits(known)
    if kind == pa.string():
        texts = [(value or '').encode() for value in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        parts = [validity, pa.py_buffer(ends), pa.py_buffer(b''.join(texts))]
        return pa.Array.from_buffers(kind, count, parts)
    if isinstance(kind, pa.FixedSizeListType):
        unknown = np.zeros(kind.list_size)
        rows = np.array([unknown if value is None else value for value in values])
        items = _numbers(kind.value_type, rows.ravel(), None)
        return pa.Array.from_buffers(kind, count, [validity], children=[items])
    filled = np.array([0 if value is None else value for value in values])
    return _numbers(kind, filled, validity)


def _numbers(kind: pa.DataType, values: np.ndarray, validity: pa.Buffer | None) -> pa.Array:
    numbers = values.astype(kind.to_pandas_dtype())
    data = _bits(numbers) if kind == pa.bool_() else pa.py_buffer(numbers)
    return pa.Array.from_buffers(kind, len(values), [validity, data])


def _bits(flags: np.ndarray) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder='little').tobytes())


def _features_schema(length: int) -> pa.Schema:
    return pa.schema(
        [
            ('frame', pa.int32()),
            ('stamp_ns', pa.int64()),
            ('model', pa.string()),
            ('vector', pa.list_(pa.float32(), length)),
        ]
    )


def _frame(index: int, scene: Scene) -> dict[str, Any]:
    height, width = scene.image.size_hw
    row: dict[str, Any] = {
        'frame': index,
        'height': height,
        'width': width,
        'objects': None if scene.detections is None else len(scene.detections),
        'stamp_ns': scene.image.stamp_ns,
        'frame_id': scene.image.frame_id,
        'depth_source': None if scene.depth_source is None else scene.depth_source.value,
    }
    if (camera := scene.camera) is not None:
        row |= {'fx': camera.fx, 'fy': camera.fy, 'cx': camera.cx, 'cy': camera.cy}
    if isinstance(scene.depth, MetricDepth):
        meters = scene.depth.meters
        known = meters[np.isfinite(meters)]
        row['depth_known'] = known.size / meters.size if meters.size else 0.0
        row['depth_median_m'] = float(np.median(known)) if known.size else None
    return row


def _objects(index: int, scene: Scene) -> Iterator[dict[str, Any]]:
    for item in scene.objects:
        left, top, right, bottom = item.box_xyxy
        yield {
            'frame': index,
            'stamp_ns': scene.image.stamp_ns,
            'object': item.index,
            'track_id': item.track_id,
            'class_id': item.class_id,
            'class_name': item.class_name,
            'score': item.score,
            'left': left,
            'top': top,
            'right': right,
            'bottom': bottom,
            'mask_area': None
            if scene.masks is None
            else int(np.count_nonzero(scene.masks.pixels[item.index])),
            'truncated': item.truncated,
            'occluded': item.occluded,
            'depth_m': item.depth_m,
            'centroid_m': item.centroid_m,
            **_position(item),
        }


def _position(item: SceneObject) -> dict[str, Any]:
    if (position := item.position) is None:
        return {}
    covariance = position.covariance_m2
    return {
        'covariance_m2': None if covariance is None else covariance.ravel(),
        'velocity_mps': position.velocity_mps,
        'box_center_m': position.box.center_m,
        'box_size_m': position.box.size_m,
        'box_rotation_xyzw': position.box.rotation_xyzw,
    }
