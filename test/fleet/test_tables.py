"""The tables of one recording: values, unknown ones, and the memory that they take."""

from dataclasses import replace
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from result_bags import write_result_bag
from scenes import example_scene

from robot_perception.bag import read_results
from robot_perception.fleet.table_writer import write_tables


def test_unknown_values_are_null(tmp_path):
    first = example_scene(1)
    names = ('kopje 茶', '', 'x' * 300)
    named = [replace(one, class_name=name) for one, name in zip(first.objects, names, strict=True)]
    nothing = example_scene(2, count=0)
    scenes = [
        replace(first, objects=tuple(named)),
        replace(nothing, image=replace(nothing.image, stamp_ns=2 * 10**18), camera=None),
    ]
    write_result_bag(tmp_path / 'bag', scenes, topics=('scene', 'features'))
    assert write_tables(tmp_path / 'bag', '/perception', tmp_path / 'tables') == 3
    frames, objects, features = (
        pq.read_table(tmp_path / 'tables' / f'{table}.parquet').to_pydict()
        for table in ('frames', 'objects', 'features')
    )
    read = [one.scene for one in read_results(tmp_path / 'bag')]
    items = read[0].objects
    assert objects['class_name'] == [item.class_name for item in items]
    assert objects['track_id'] == [None, 2, None]
    assert objects['depth_m'] == [item.depth_m for item in items]
    assert objects['depth_m'][2] is None
    assert objects['truncated'] == [item.truncated for item in items]
    for name in ('covariance_m2', 'box_size_m', 'centroid_m'):
        assert objects[name][2] is None
        assert None not in objects[name][:2]
    assert objects['box_size_m'][0] == list(items[0].position.box.size_m)
    assert objects['covariance_m2'][1] == items[1].position.covariance_m2.ravel().tolist()
    assert frames['fx'] == [None if one.camera is None else one.camera.fx for one in read]
    assert frames['stamp_ns'] == [one.image.stamp_ns for one in read]
    assert frames['objects'] == [3, 0]
    schema = pq.read_schema(tmp_path / 'tables/features.parquet')
    assert schema.field('vector').type == pa.list_(pa.float32(), 32)
    assert features['vector'][0] == read[0].features.vector.tolist()


def test_a_recording_without_objects_has_a_table_of_them(tmp_path):
    scene = replace(example_scene(count=0), features=None)
    write_result_bag(tmp_path / 'bag', [scene])
    write_tables(tmp_path / 'bag', '/perception', tmp_path / 'tables')
    table = pq.read_table(tmp_path / 'tables/objects.parquet')
    assert (table.num_rows, table.schema.field('centroid_m').type.list_size) == (0, 3)
    assert not (tmp_path / 'tables/features.parquet').exists()


def test_workers_import_no_more_than_they_need(tmp_path):
    """Neither pandas, which takes half the memory of a worker, nor Arrow to look at an output."""
    write_result_bag(tmp_path / 'bag', [example_scene()])
    program = f"""
import sys
from robot_perception.fleet import process_fleet, read_manifest
print(sorted({{'fsspec', 'pandas', 'pyarrow', 'ray', 'torch'}} & set(sys.modules)))
from pathlib import Path
from robot_perception.fleet.table_writer import write_tables
write_tables(Path({str(tmp_path / 'bag')!r}), '/perception', Path({str(tmp_path / 'out')!r}))
print(sorted({{'fsspec', 'pandas', 'ray', 'torch'}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ['[]', '[]']
