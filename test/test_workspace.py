"""The workspace without a ROS installation: pinned versions, steps and what they build."""

import importlib.util
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / 'workspace' / 'requirements'
PINNED = re.compile(r"^[\w.-]+(\[\w+\])?==[\w.+]+( ; python_version (<|>=) '3\.\d+')?( +#.*)?$")

# Type hashes of release 4.1.1 of vision_msgs, of 2.2.0 to 3.3.0 of foxglove_msgs, and of bond and
# tf2_msgs in every ROS 2 that has hashes: what other programs expect on the wire.
HASHES = {
    ('bond', 'msg/Status'): '87eaccffa254ffffadc0b61600452e8251740f06c25659a2dbda4927fdb1f70a',
    (
        'foxglove_msgs',
        'msg/CircleAnnotation',
    ): 'd3d8a00505117be541fe8b4b601aa90d5088209a75f313e3779be54db324d15b',
    (
        'foxglove_msgs',
        'msg/Color',
    ): 'ed1b16da40c954e6456b950c2ef4559c179e5cb98f1363cb28c3b90c6ee14120',
    (
        'foxglove_msgs',
        'msg/ImageAnnotations',
    ): '47c6c0891ba263ec1b20d9b785c4261d4bc41051cbcc01668130e36aa2dcaee3',
    (
        'foxglove_msgs',
        'msg/Point2',
    ): 'd85e823b78e2e88bc31629e305558bcdd2ecc9225f5f9390f96d91930f5696f0',
    (
        'foxglove_msgs',
        'msg/PointsAnnotation',
    ): '61bd8dda01243d9c7232f00d9101577291b5a9bc1855b06ada4a29e0dc0496a7',
    (
        'foxglove_msgs',
        'msg/TextAnnotation',
    ): 'c02ec64b79eb5682e73b2b2572f127a27baec868b6ad6acc085abc39355a5b2b',
    (
        'tf2_msgs',
        'action/LookupTransform',
    ): '0b8adf6bc0b5958879e3265b41a457e03558fe523890a81252c70eba97a82c5d',
    (
        'tf2_msgs',
        'msg/TF2Error',
    ): 'db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a',
    (
        'tf2_msgs',
        'msg/TFMessage',
    ): 'e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087',
    (
        'tf2_msgs',
        'srv/FrameGraph',
    ): '0d1fbc6222c018ba5f33822904a2fdd4063705289956d3fdde07cd8c50fe8067',
    (
        'vision_msgs',
        'msg/BoundingBox2D',
    ): '008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f',
    (
        'vision_msgs',
        'msg/BoundingBox2DArray',
    ): '2464e82838009386d371b523211c21c91d74d313fcdd6788223c531d621cf691',
    (
        'vision_msgs',
        'msg/BoundingBox3D',
    ): 'bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698',
    (
        'vision_msgs',
        'msg/BoundingBox3DArray',
    ): 'a81938db9576b10c2eecd7c5a5da3eac496efd00221b25ed051dfbc81fb56da6',
    (
        'vision_msgs',
        'msg/Classification',
    ): 'f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143',
    (
        'vision_msgs',
        'msg/Detection2D',
    ): '0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea',
    (
        'vision_msgs',
        'msg/Detection2DArray',
    ): '214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
    (
        'vision_msgs',
        'msg/Detection3D',
    ): 'ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b',
    (
        'vision_msgs',
        'msg/Detection3DArray',
    ): '793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018',
    (
        'vision_msgs',
        'msg/LabelInfo',
    ): '3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
    (
        'vision_msgs',
        'msg/ObjectHypothesis',
    ): '51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90',
    (
        'vision_msgs',
        'msg/ObjectHypothesisWithPose',
    ): '41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc',
    (
        'vision_msgs',
        'msg/Point2D',
    ): 'eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247',
    (
        'vision_msgs',
        'msg/Pose2D',
    ): 'b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648',
    (
        'vision_msgs',
        'msg/VisionClass',
    ): '1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a',
    (
        'vision_msgs',
        'msg/VisionInfo',
    ): '95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284',
}


@pytest.fixture
def steps(monkeypatch, tmp_path):
    """The module, with its folders in a temporary one."""
    monkeypatch.syspath_prepend(ROOT / 'workspace')
    module = importlib.import_module('steps')
    for name in ('VENV', 'STAMPS', 'LOGS'):
        monkeypatch.setattr(module, name, tmp_path / name)
    return module


@pytest.fixture
def packages(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'workspace')
    return importlib.import_module('system_packages')


@pytest.fixture
def create(steps, monkeypatch):
    module = importlib.import_module('create')
    for name in ('VENV', 'LOGS'):
        monkeypatch.setattr(module, name, getattr(steps, name))
    return module


# Requirements


@pytest.mark.parametrize('path', sorted(REQUIREMENTS.iterdir()), ids=lambda path: path.name)
def test_every_requirement_is_pinned(path):
    lines = path.read_text(encoding='utf-8').splitlines()
    unpinned = [line for line in lines if line and line[0] != '#' and not PINNED.match(line)]
    assert not unpinned


def test_setuptools_suits_colcon():
    text = (REQUIREMENTS / 'ros.txt').read_text(encoding='utf-8')
    assert int(re.search(r'^setuptools==(\d+)', text, re.MULTILINE)[1]) < 80


def test_incompatible_packages_are_not_required():
    names = {
        re.split(r'[\[=]', line)[0].lower()
        for path in REQUIREMENTS.iterdir()
        for line in path.read_text(encoding='utf-8').splitlines()
    }
    # torchvision and timm do not load beside a CPU torch; the others are ports of ROS 1.
    assert not names & {'torchvision', 'timm', 'cv-bridge', 'cvbridge3', 'launch', 'opencv-python'}


# Steps


def test_a_step_prints_its_outcome(steps, capsys):
    steps.step('tea', lambda: 'made')
    assert re.fullmatch(r'workspace: tea +made +0\.\d s\n', capsys.readouterr().out)


def test_failed_program_shows_the_end_of_its_log_and_the_remedy(steps):
    program = 'print("\\n".join(f"line {i}" for i in range(50))); raise SystemExit(3)'
    with pytest.raises(steps.StepFailedError, match='tea failed with exit code 3') as caught:
        steps.run('tea', [sys.executable, '-c', program], advice='Boil the water first.')
    text = str(caught.value)
    assert str(steps.LOGS / 'tea.log') in text
    assert 'line 49' in text
    assert 'line 29' not in text
    assert text.endswith('Boil the water first.')


PIP = """Collecting torch==2.13.0 (from -r runtime.txt (line 14))
  Downloading torch-2.13.0-cp311-manylinux_2_28_x86_64.whl (890.1 MB)
Collecting sympy>=1.13.3 (from torch==2.13.0)
"""
COLCON = 'Starting >>> tf2_msgs\n[12/40] Building C object tf2_msgs/msg/tf_message__functions.c\n'


@pytest.mark.parametrize(
    ('output', 'activity'),
    [
        (PIP, 'Collecting sympy>=1.13.3'),
        (f'{PIP}Installing collected packages: sympy, torch\n', 'Installing 2 packages'),
        (COLCON, '[12/40] Building C object tf2_msgs/msg/tf_message__functions.c'[:60]),
        (f'{COLCON}Finished <<< tf2_msgs [9.1s]\n', 'Finished <<< tf2_msgs [9.1s]'),
        ('-- Configuring done\n', ''),
    ],
)
def test_the_latest_activity_is_found_in_the_output(steps, output, activity):
    assert steps.latest_activity(output) == activity


def test_progress_has_the_log_time_and_activity(steps, monkeypatch, capsys):
    monkeypatch.setattr(steps, 'FILE_PERIOD_S', 0.1)
    program = 'import time; print("Collecting tea", flush=True); time.sleep(0.6)'
    steps.run('tea', [sys.executable, '-c', program], progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == f'log: {steps.LOGS / "tea.log"}'
    assert re.fullmatch(r'    0:0[01]  Collecting tea', lines[-1])


def test_programs_do_not_see_another_ros(steps, monkeypatch):
    for name in steps.FOREIGN_VARIABLES:
        monkeypatch.setenv(name, '/opt/ros/other')
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')
    variables = steps.clean_environment()
    assert '/opt/ros/other' not in ''.join(variables.values())
    assert variables['AMENT_PREFIX_PATH'] == variables['CMAKE_PREFIX_PATH'] == str(steps.VENV)
    assert variables['PATH'].startswith(f'{steps.VENV}/bin{os.pathsep}')
    assert variables['ROS_DOMAIN_ID'] == '7'


def test_a_stamp_is_valid_until_the_inputs_change(steps):
    assert steps.read_stamp('tea') is None
    steps.write_stamp('tea', steps.hash_inputs(['water', 'leaves']))
    assert steps.read_stamp('tea') == steps.hash_inputs(['water', 'leaves'])
    assert steps.read_stamp('tea') != steps.hash_inputs(['waterleaves'])
    steps.delete_stamp('tea')
    assert steps.read_stamp('tea') is None


def test_a_failed_build_is_repeated_when_its_inputs_are_restored(create, steps, monkeypatch):
    def fail(*_, **__):
        raise steps.StepFailedError('no')

    monkeypatch.setattr(create, '_interpreter', lambda: create.Interpreter('3.11', ROOT, ROOT))
    steps.write_stamp('build', steps.hash_inputs(['inputs of the last success']))
    monkeypatch.setattr(create, 'run', fail)
    with pytest.raises(steps.StepFailedError):
        create._build()
    assert steps.read_stamp('build') is None


@pytest.mark.parametrize('machine', [('Linux', 'aarch64'), ('Darwin', 'arm64')])
def test_other_machines_get_advice(create, monkeypatch, machine):
    monkeypatch.setattr(create.platform, 'system', lambda: machine[0])
    monkeypatch.setattr(create.platform, 'machine', lambda: machine[1])
    with pytest.raises(create.StepFailedError, match=r'x86-64 Linux only.*`pip install \.`'):
        create._check_machine()


def test_a_failed_step_ends_the_run(create, monkeypatch, capsys):
    monkeypatch.setattr(create.platform, 'machine', lambda: 'aarch64')
    monkeypatch.setattr(sys, 'argv', ['create.py'])
    assert create.main() == 1
    assert 'this is Linux aarch64' in capsys.readouterr().err


def test_the_error_names_system_packages_that_cannot_be_installed(packages, monkeypatch):
    monkeypatch.setattr(packages, '_loads', lambda _: False)
    monkeypatch.setattr(packages.shutil, 'which', lambda name: None if 'apt' in name else name)
    with pytest.raises(packages.StepFailedError, match='sudo apt-get install -y libusb-1.0-0'):
        packages.install_system_packages()


def test_system_packages_are_installed_after_an_update_of_the_lists(packages, monkeypatch):
    ran = []

    def run(_, command, **__):
        ran.append([word for word in command if word in {'install', 'update', 'libusb-1.0-0'}])
        if len(ran) == 1:
            raise packages.StepFailedError('Unable to locate package')

    monkeypatch.setattr(packages, '_loads', lambda _: len(ran) == 3)
    monkeypatch.setattr(packages, '_administrator', list)
    monkeypatch.setattr(packages, 'run', run)
    assert packages.install_system_packages() == 'installed'
    assert ran == [['install', 'libusb-1.0-0'], ['update'], ['install', 'libusb-1.0-0']]


# Wheels


@pytest.mark.parametrize(
    ('line', 'repaired'),
    [
        (
            (
                '  INTERFACE_INCLUDE_DIRECTORIES '
                '"/opt/python/cp311/include;/opt/python/cp311/numpy"\n'
            ),
            '  INTERFACE_INCLUDE_DIRECTORIES "/usr/include/python3.11"\n',
        ),
        (
            '  INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp311/include;${_IMPORT_PREFIX}/lib"\n',
            '  INTERFACE_INCLUDE_DIRECTORIES "/usr/include/python3.11;${_IMPORT_PREFIX}/lib"\n',
        ),
        *[
            (line, line)
            for line in (
                '  INTERFACE_INCLUDE_DIRECTORIES "${_IMPORT_PREFIX}/include/rcutils"\n',
                '  INTERFACE_INCLUDE_DIRECTORIES "/usr/include/python3.11"\n',
                '  INTERFACE_LINK_LIBRARIES "a::a;b::b"\n',
                '# /opt/python/ in a comment\n',
            )
        ],
    ],
)
def test_paths_of_the_build_machine_are_replaced(create, line, repaired):
    assert create._repair_line(line, Path('/usr/include/python3.11')) == repaired


def test_the_prefix_is_appended_once(create, monkeypatch):
    mine, theirs = sys.prefix, '/opt/overlay'
    for before in ([], [theirs], [theirs, mine]):
        monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join(before))
        exec(create.PREFIX_HOOK)  # noqa: S102 - the interpreter does so with the line in a .pth
        expected = [theirs, mine] if before else [mine]
        assert os.environ['AMENT_PREFIX_PATH'] == os.pathsep.join(expected)


# Build


def test_added_packages_declare_the_messages_of_the_release():
    for package in {package for package, _ in HASHES}:
        folder = ROOT / 'workspace' / package
        build = (folder / 'CMakeLists.txt').read_text(encoding='utf-8')
        names = {name for owner, name in HASHES if owner == package}
        files = (path for kind in ('msg', 'srv', 'action') for path in folder.glob(f'{kind}/*'))
        assert {f'{path.parent.name}/{path.stem}' for path in files} == names
        assert set(re.findall(r'((?:msg|srv|action)/\w+)\.', build)) == names


@pytest.mark.ros
@pytest.mark.parametrize(('package', 'name'), HASHES)
def test_added_packages_have_the_types_of_the_release(package, name):
    index = pytest.importorskip('ament_index_python')
    share = Path(index.get_package_share_directory(package))
    path = share / f'{name}.json'
    if not path.exists():
        pytest.skip('this ROS has no type hashes yet')
    hashes = json.loads(path.read_text(encoding='utf-8'))['type_hashes']
    (type_hash,) = (
        entry['hash_string'] for entry in hashes if entry['type_name'] == f'{package}/{name}'
    )
    assert type_hash == f'RIHS01_{HASHES[package, name]}'


@pytest.mark.ros
def test_messages_and_python_modules_are_in_one_package():
    from robot_perception import core, msg

    assert core.Image.__module__.startswith('robot_perception.core')
    assert msg.Scene.__module__.startswith('robot_perception.msg')


@pytest.mark.ros
def test_the_share_has_what_launch_needs():
    index = pytest.importorskip('ament_index_python')
    prefix = Path(index.get_package_prefix('robot_perception'))
    share = prefix / 'share' / 'robot_perception'
    for name in ('launch/perception.launch.py', 'launch/replay.launch.py', 'rviz/perception.rviz'):
        assert (share / name).is_file()
    assert any((share / 'config').glob('*.yaml'))
    for name in ('perception_node', 'replay_node'):
        assert os.access(prefix / 'lib' / 'robot_perception' / name, os.X_OK)


@pytest.mark.skipif(
    shutil.which('colcon', path=f'{sys.prefix}/bin') is None, reason='needs colcon'
)
def test_colcon_finds_one_package():
    """Otherwise colcon would build our vision_msgs over that of the distribution."""
    command = [f'{sys.prefix}/bin/colcon', '--log-base', os.devnull, 'list', '--names-only']
    answer = subprocess.run(
        [*command, '--base-paths', str(ROOT)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ['robot_perception']
