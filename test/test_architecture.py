"""Imports run one way, and each foreign library stays in its packages."""

import ast
from contextlib import suppress
import importlib
from pathlib import Path
import subprocess
import sys

import pytest

PACKAGE = Path(__file__).parents[1] / 'robot_perception'

# Package -> packages it may import.
ALLOWED = {
    'core': set(),
    'models': {'core'},
    'image_files': {'core'},
    'conversions': {'core', 'image_files'},
    'sources': {'core', 'image_files'},
    'viewer': {'core'},
    'pipeline': {'core', 'models', 'image_files'},
    'stream': {'core', 'conversions', 'sources', 'viewer', 'pipeline'},
    'nodes': {'core', 'conversions', 'sources', 'viewer', 'pipeline', 'stream'},
    'bag': {'core', 'conversions', 'sources', 'pipeline', 'stream'},
    'world': {'core', 'models', 'conversions', 'sources', 'viewer', 'pipeline', 'stream'},
    'evaluation': {
        *('core', 'models', 'image_files', 'conversions', 'sources'),
        *('viewer', 'pipeline', 'stream'),
    },
    'faults': {
        *('core', 'models', 'conversions', 'sources', 'pipeline', 'stream', 'nodes', 'bag'),
    },
    'fleet': {'core', 'sources', 'pipeline', 'bag'},
    'server': {'core', 'image_files', 'sources', 'viewer', 'pipeline', 'stream'},
    'cli': {
        *('core', 'models', 'sources', 'viewer', 'pipeline', 'stream'),
        *('nodes', 'bag', 'world', 'evaluation', 'faults', 'fleet', 'server'),
    },
}
# Library -> packages, or folders of one, that may import it; a library not named here may be
# imported anywhere but core.
HOMES = {
    'rclpy': {'nodes', 'faults'},
    'torch': {'models', 'world/training'},
    'transformers': {'models', 'world/training'},
    'safetensors': {'models'},
    'huggingface_hub': {'models'},
    'rosbags': {'sources', 'conversions'},
    'jinja2': {'viewer'},
    'open3d': {'world'},
    'cv_bridge': {'conversions'},
    'faster_coco_eval': {'evaluation'},
    'foxglove': {'viewer'},
    'fsspec': {'fleet'},
    'h11': {'server'},
    'pyarrow': {'fleet'},
    'ray': {'fleet', 'server'},
    'rerun': {'viewer'},
    'rerun_cli': {'viewer'},
    'fastapi': {'server'},
    'prometheus_client': {'server'},
    'pydantic': {'server'},
    'python_multipart': {'server'},
    'starlette': {'server'},
    'uvicorn': {'server'},
}
CORE_MAY_IMPORT = {'__future__', 'numpy', *sys.stdlib_module_names}
# Functions of core and pipeline that may import more when they are called -> what they import.
IMPORTS_ON_CALL = {
    'core/depth.py': {'_draw': {'robot_perception.viewer'}},
    'core/detections.py': {
        'Detections.to_pandas': {'pandas'},
        'Detections.to_supervision': {'supervision'},
    },
    'core/masks.py': {'Masks._draw': {'robot_perception.viewer'}},
    'core/pointcloud.py': {'PointCloud.to_open3d': {'open3d'}},
    'core/scene.py': {
        'Scene._draw': {'robot_perception.viewer'},
        'Scene.save': {'robot_perception.viewer'},
        'Scene.show': {'PIL'},
        'Scene.to_dict': {'robot_perception.viewer'},
    },
    'core/value.py': {'NotebookImage._repr_png_': {'robot_perception.viewer'}},
}


def read_imports(file):
    """Yield the modules that a file imports, but for those of its rows in IMPORTS_ON_CALL."""
    on_call = IMPORTS_ON_CALL.get(file.relative_to(PACKAGE).as_posix(), {})
    tree = ast.parse(file.read_text(encoding='utf-8'))
    for function, name in imports_in(tree):
        if name not in on_call.get(function, set()):
            yield name


def imports_in(node, scope=''):
    """Yield (qualified name of the function, imported module), with '' at module level."""
    for child in ast.iter_child_nodes(node):
        inner = scope
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = f'{scope}.{child.name}'.lstrip('.')
        elif isinstance(child, ast.Import):
            yield from ((scope, alias.name) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, 'relative import'
            for alias in child.names:
                of_package = child.module == 'robot_perception'
                yield scope, f'{child.module}.{alias.name}' if of_package else str(child.module)
        yield from imports_in(child, inner)


def modules_imported_by(file):
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module != 'robot_perception':
            yield str(node.module)


def files_by_package():
    return [
        (file.relative_to(PACKAGE).parts[0], file)
        for file in sorted(PACKAGE.rglob('*.py'))
        if file.parent != PACKAGE
    ]


@pytest.mark.parametrize(
    ('package', 'file'), files_by_package(), ids=lambda value: str(value)[-40:]
)
def test_imports_run_one_way(package, file):
    assert package in ALLOWED, f'{package}: a package that the architecture does not know'
    for name in read_imports(file):
        parts = name.split('.')
        if parts[0] == 'robot_perception':
            target = parts[1]
            if target == '__version__':
                continue
            assert target == package or target in ALLOWED[package], f'{file} imports {name}'
        else:
            folder = file.parent.relative_to(PACKAGE).as_posix()
            assert {package, folder} & HOMES.get(parts[0], {package}), f'{file} imports {name}'
            if package == 'core':
                assert parts[0] in CORE_MAY_IMPORT, f'{file} imports {name}'


def test_functions_that_import_on_call_do_so():
    for path, functions in IMPORTS_ON_CALL.items():
        assert path.split('/')[0] in {'core', 'pipeline'}
        found = list(imports_in(ast.parse(PACKAGE.joinpath(path).read_text(encoding='utf-8'))))
        assert '' not in functions, f'{path}: a module-level import'
        for function, names in functions.items():
            assert names <= {name for scope, name in found if scope == function}, (path, function)


def test_no_package_is_a_drawer():
    names = {file.stem for _, file in files_by_package()}
    assert not names & {'utils', 'util', 'helpers', 'common', 'misc'}


@pytest.mark.parametrize(
    ('package', 'file'), files_by_package(), ids=lambda value: str(value)[-40:]
)
def test_imports_between_packages_go_through_their_init(package, file):
    for module in modules_imported_by(file):
        parts = module.split('.')
        if parts[0] == 'robot_perception' and parts[1:] and parts[1] != package:
            assert PACKAGE.joinpath(*parts[1:], '__init__.py').exists(), (
                f'{file}: import what it needs from robot_perception.{parts[1]}, not from {module}'
            )


@pytest.mark.parametrize(
    'package',
    [
        *('core', 'image_files', 'conversions', 'models', 'viewer', 'pipeline', 'bag'),
        *('evaluation', 'server'),
    ],
)
def test_packages_import_without_ros_torch_and_open3d(package):
    blocked = ['rclpy', 'sensor_msgs', 'torch', 'transformers', 'open3d']
    if package == 'core':
        blocked += ['cv2', 'PIL', 'yaml', 'pandas', 'supervision', 'rosbags']
    code = f"""
import sys
for name in {blocked!r}:
    sys.modules[name] = None
import robot_perception.{package}
"""
    subprocess.run([sys.executable, '-c', code], check=True, cwd=PACKAGE.parent)


def test_no_lazy_name_is_that_of_a_submodule():
    """Importing the submodule would set the attribute to the module, and hide the name."""
    for init in sorted(PACKAGE.glob('*/__init__.py')):
        submodules = {file.stem for file in init.parent.glob('*.py')}
        tree = ast.parse(init.read_text(encoding='utf-8'))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id == 'lazy_attributes':
                names = {item.value for item in ast.walk(call) if isinstance(item, ast.Constant)}
                offered = importlib.import_module(f'robot_perception.{init.parent.name}').__all__
                assert not names & set(offered) & submodules, init


def test_every_offered_name_exists():
    pytest.importorskip('rclpy')
    for init in sorted(PACKAGE.glob('*/__init__.py')):
        package = importlib.import_module(f'robot_perception.{init.parent.name}')
        for name in getattr(package, '__all__', ()):
            # What an extra lacks here is imported where it is installed.
            with suppress(ImportError):
                assert hasattr(package, name), f'{package.__name__}.{name}'
