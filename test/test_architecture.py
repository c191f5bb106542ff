"""Imports run one way, and each foreign library stays in its room."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

PACKAGE = Path(__file__).parents[1] / 'robot_perception'

# Room -> rooms it may import.
ALLOWED = {
    'core': set(),
    'models': {'core'},
    'conversions': {'core'},
    'viewer': {'core'},
    'sources': {'core'},
    'pipeline': {'core', 'models', 'conversions', 'viewer'},
    'bag': {'core', 'conversions', 'sources', 'pipeline'},
    'nodes': {'core', 'conversions', 'viewer', 'sources', 'pipeline'},
    'world': {'core', 'models', 'conversions', 'viewer', 'sources', 'pipeline'},
    'evaluation': {'core', 'models', 'conversions', 'viewer', 'sources', 'pipeline'},
    'cli': {
        *('core', 'models', 'viewer', 'sources', 'pipeline'),
        *('nodes', 'bag', 'world', 'evaluation'),
    },
}
# Library -> rooms, or folders of one, that may import it; a library not named here may be imported
# anywhere but core.
HOMES = {
    'rclpy': {'nodes'},
    'torch': {'models', 'world/training'},
    'transformers': {'models', 'world/training'},
    'safetensors': {'models'},
    'huggingface_hub': {'models'},
    'rosbags': {'sources', 'conversions'},
    'jinja2': {'viewer'},
    'open3d': {'world'},
    'cv_bridge': {'conversions'},
    'faster_coco_eval': {'evaluation'},
    'rerun': {'viewer'},
}
CORE_MAY_IMPORT = {'__future__', 'numpy', *sys.stdlib_module_names}


def imports_of(file):
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{file}: relative import'
            yield from (
                f'{node.module}.{alias.name}'
                if node.module == 'robot_perception'
                else str(node.module)
                for alias in node.names
            )


def modules_imported_by(file):
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module != 'robot_perception':
            yield str(node.module)


def files_by_room():
    return [
        (file.relative_to(PACKAGE).parts[0], file)
        for file in sorted(PACKAGE.rglob('*.py'))
        if file.parent != PACKAGE
    ]


@pytest.mark.parametrize(('room', 'file'), files_by_room(), ids=lambda value: str(value)[-40:])
def test_imports_run_one_way(room, file):
    assert room in ALLOWED, f'{room}: a room that the architecture does not know'
    for name in imports_of(file):
        parts = name.split('.')
        if parts[0] == 'robot_perception':
            target = parts[1]
            if target == '__version__':
                continue
            assert target == room or target in ALLOWED[room], f'{file} imports {name}'
        else:
            folder = file.parent.relative_to(PACKAGE).as_posix()
            assert {room, folder} & HOMES.get(parts[0], {room}), f'{file} imports {name}'
            if room == 'core':
                assert parts[0] in CORE_MAY_IMPORT, f'{file} imports {name}'


def test_no_package_is_a_drawer():
    names = {file.stem for _, file in files_by_room()}
    assert not names & {'utils', 'util', 'helpers', 'common', 'misc'}


@pytest.mark.parametrize(('room', 'file'), files_by_room(), ids=lambda value: str(value)[-40:])
def test_imports_between_packages_go_through_their_init(room, file):
    for module in modules_imported_by(file):
        parts = module.split('.')
        if parts[0] == 'robot_perception' and parts[1:] and parts[1] != room:
            assert PACKAGE.joinpath(*parts[1:], '__init__.py').exists(), (
                f'{file}: import what it needs from robot_perception.{parts[1]}, not from {module}'
            )


@pytest.mark.parametrize(
    'room', ['core', 'conversions', 'models', 'viewer', 'pipeline', 'bag', 'evaluation']
)
def test_rooms_import_without_ros_torch_and_open3d(room):
    blocked = ('rclpy', 'sensor_msgs', 'torch', 'transformers', 'open3d')
    code = f"""
import sys
for name in {blocked!r}:
    sys.modules[name] = None
import robot_perception.{room}
"""
    subprocess.run([sys.executable, '-c', code], check=True, cwd=PACKAGE.parent)
