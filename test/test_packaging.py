"""package.xml, CMakeLists.txt and setup.py agree with the code."""

import ast
import importlib.util
from pathlib import Path
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile

import pytest

import robot_perception

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / 'robot_perception').rglob('*.py'))
# What is imported -> what pip calls it; only where the names differ.
PIP_NAMES = {
    'cv2': 'opencv-python-headless',
    'faster_coco_eval': 'faster-coco-eval',
    'huggingface_hub': 'transformers',
    'yaml': 'pyyaml',
}
# Optional, and imported where they are used: the extras list them.
EXTRAS = {
    'av': 'av',
    'fastapi': 'fastapi',
    'foxglove': 'foxglove-sdk',
    'fsspec': 'fsspec',
    'h11': 'uvicorn',
    'argcomplete': 'argcomplete',
    'onnxruntime': 'onnxruntime',
    'open3d': 'open3d',
    'openvino': 'openvino',
    'pandas': 'pandas',
    'prometheus_client': 'prometheus-client',
    'PIL': 'pillow',
    'pyarrow': 'pyarrow',
    'pydantic': 'fastapi',
    'python_multipart': 'python-multipart',
    'ray': 'ray',
    'rerun': 'rerun-sdk',
    'rerun_cli': 'rerun-sdk',
    'starlette': 'fastapi',
    'supervision': 'supervision',
    'uvicorn': 'uvicorn',
}
# Comes with a ROS install only.
ROS_PYTHON = {'cv_bridge', 'rclpy'}


@pytest.fixture(scope='module')
def manifest():
    return ET.parse(ROOT / 'package.xml').getroot()  # noqa: S314 - our own file


@pytest.fixture(scope='module')
def dependencies(manifest):
    return {element.text for element in manifest if element.tag.endswith('depend')}


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Name -> text of each file in the wheel that pip builds of a copy without leftovers."""
    if not all(importlib.util.find_spec(tool) for tool in ('pip', 'setuptools', 'wheel')):
        pytest.skip('needs pip, setuptools and wheel')
    folder = tmp_path_factory.mktemp('wheel')
    names = ['robot_perception', 'resource', 'config', 'launch', 'rviz', 'setup.py', 'setup.cfg']
    names += ['pyproject.toml', 'package.xml', 'README.md', 'LICENSE', 'msg']
    names += ['workspace/foxglove_msgs', 'workspace/vision_msgs']
    for name in names:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(
                path, folder / name, ignore=shutil.ignore_patterns('__pycache__', '.*')
            )
        elif path.exists():
            shutil.copy(path, folder / name)
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation']
    command += ['--wheel-dir', str(folder / 'out'), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = (folder / 'out').glob('*.whl')
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode(errors='replace') for name in archive.namelist()}


def imported_packages():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield str(node.module).partition('.')[0]


def named_message_packages():
    for path in SOURCES:
        text = path.read_text(encoding='utf-8')
        names = re.findall(r"'([a-z0-9_]+)/(?:msg|srv)/[A-Z]\w+'", text)
        yield from filter(is_message_package, names)


def is_message_package(name):
    return name.endswith(('_msgs', '_srvs', '_interfaces'))


def test_versions_agree(manifest, wheel):
    (metadata,) = (text for name, text in wheel.items() if name.endswith('.dist-info/METADATA'))
    assert f'\nVersion: {robot_perception.__version__}\n' in metadata
    assert manifest.findtext('version') == robot_perception.__version__


def test_messages_that_the_code_uses_are_declared(dependencies):
    used = {name for name in imported_packages() if is_message_package(name)}
    # Videos are read from recordings without the package of their messages.
    used |= set(named_message_packages()) - {'robot_perception', 'foxglove_msgs'}
    assert {'sensor_msgs', 'vision_msgs'} <= used
    assert used <= dependencies
    assert dependencies >= ROS_PYTHON


def test_messages_that_ours_contain_are_declared(dependencies):
    text = ''.join((ROOT / name).read_text(encoding='utf-8') for name in interface_files())
    contained = set(re.findall(r'^([a-z_]+)/[A-Z]', text, re.MULTILINE))
    # Every action consists of messages of this package.
    contained.add('action_msgs')
    assert contained <= dependencies
    build = (ROOT / 'CMakeLists.txt').read_text(encoding='utf-8')
    assert contained == set(re.search(r'DEPENDENCIES ([a-z_ ]+)', build)[1].split())


def test_every_message_service_and_action_is_generated():
    build = (ROOT / 'CMakeLists.txt').read_text(encoding='utf-8')
    assert (
        set(re.findall(r'(?:msg|srv|action)/\w+\.(?:msg|srv|action)', build)) == interface_files()
    )


def interface_files():
    return {
        path.relative_to(ROOT).as_posix()
        for kind in ('msg', 'srv', 'action')
        for path in (ROOT / kind).iterdir()
    }


def test_libraries_that_the_code_imports_are_required(wheel):
    (metadata,) = (text for name, text in wheel.items() if name.endswith('.dist-info/METADATA'))
    required = {
        name.lower()
        for name in re.findall(
            r'^Requires-Dist: ([\w-]+)(?!.*extra)',
            metadata,
            re.MULTILINE,
        )
    }
    imported = {
        PIP_NAMES.get(name, name)
        for name in imported_packages()
        if name not in sys.stdlib_module_names and not is_message_package(name)
    }
    # The newest Python has by itself what the backport brings to the others.
    imported -= {'compression'}
    # Only type checkers see it.
    imported -= {'typing_extensions'}
    imported -= ROS_PYTHON | {'robot_perception'}
    assert imported - EXTRAS.keys() == required
    optional = re.findall(r'^Requires-Dist: ([\w-]+).*extra', metadata, re.MULTILINE)
    assert {EXTRAS[name] for name in imported & EXTRAS.keys()} <= set(optional)


def test_the_wheel_has_the_packages_and_not_the_messages(wheel):
    packages = {name.split('/')[1] for name in wheel if name.startswith('robot_perception/')}
    assert {'core', 'models', 'conversions', 'pipeline', 'nodes', 'cli', 'py.typed'} <= packages
    assert 'msg' not in packages
    data = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'robot_perception').rglob('*')
        if path.is_file() and not any(part.startswith(('.', '__pyc')) for part in path.parts)
    }
    assert data <= set(wheel)


def test_the_wheel_brings_the_definitions_of_its_messages(wheel):
    for package, folder in (
        ('robot_perception', 'msg'),
        ('foxglove_msgs', 'workspace/foxglove_msgs/msg'),
        ('vision_msgs', 'workspace/vision_msgs/msg'),
    ):
        inside = f'robot_perception/definitions/{package}/'
        packed = {name.removeprefix(inside) for name in wheel if name.startswith(inside)}
        assert packed == {path.name for path in (ROOT / folder).glob('*.msg')} != set()


def test_the_wheel_brings_the_command(wheel):
    (text,) = (text for name, text in wheel.items() if name.endswith('entry_points.txt'))
    assert 'robot-perception = robot_perception.cli.main:main' in text


def test_the_wheel_has_the_license(wheel):
    assert any(name.endswith('/LICENSE') for name in wheel)


def test_there_is_no_python_module_in_the_place_of_the_messages():
    for name in ('msg', 'msg.py', 'srv', 'srv.py', 'action', 'action.py'):
        assert not (ROOT / 'robot_perception' / name).exists()
