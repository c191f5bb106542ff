"""The library and its commands for pip; `colcon build` goes by CMakeLists.txt instead."""

from pathlib import Path
import re

from setuptools import find_packages, setup

NAME = 'robot_perception'
VERSION = re.search(
    r"^__version__ = '(.+)'$", Path(NAME, '__init__.py').read_text(encoding='utf-8'), re.MULTILINE
)[1]

DEFINITIONS = {
    f'{NAME}.definitions.{NAME}': 'msg',
    f'{NAME}.definitions.foxglove_msgs': 'workspace/foxglove_msgs/msg',
    f'{NAME}.definitions.vision_msgs': 'workspace/vision_msgs/msg',
}

setup(
    name=NAME,
    version=VERSION,
    description='ROS 2 perception for RGB and RGB-D cameras: object detection, instance '
    'segmentation, monocular depth, 3D boxes, point clouds and scene features',
    author='robot_perception maintainers',
    author_email='robot-perception@users.noreply.github.com',
    maintainer='robot_perception maintainers',
    maintainer_email='robot-perception@users.noreply.github.com',
    license='Apache-2.0',
    keywords=[
        *('ROS 2', 'robotics', 'perception', 'computer vision', 'RGB-D', 'rosbag2', 'MCAP'),
        *('object detection', 'instance segmentation', 'monocular depth estimation'),
        *('point cloud', 'DINOv2', 'Depth Anything', 'DETR', 'SAM 2'),
    ],
    # https://pypi.org/classifiers
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    python_requires='>=3.10',
    # Message definitions travel along, so that bags can be written without a ROS installation.
    packages=[*find_packages(include=[NAME, f'{NAME}.*']), *DEFINITIONS],
    package_dir=DEFINITIONS,
    package_data={
        '': ['py.typed', '*.json', '*.msg', '*.xml', '*.yaml'],
        f'{NAME}.models': ['demo/*.json', 'demo/*/*'],
        f'{NAME}.models.runtimes': ['*.npz'],
        f'{NAME}.viewer': ['templates/*'],
        f'{NAME}.evaluation': ['templates/*'],
        f'{NAME}.server': ['templates/*'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        *(
            (f'share/{NAME}/{folder}', [str(path) for path in sorted(Path(folder).glob('*.*'))])
            for folder in ('config', 'launch', 'rviz')
        ),
    ],
    install_requires=[
        'backports.zstd>=1.0; python_version < "3.14"',
        'faster-coco-eval>=1.6.7',
        'jinja2>=3.1',
        'lz4>=4',
        'numpy>=1.26',
        'opencv-python-headless>=4.8',
        'PyYAML>=6.0',
        'rosbags>=0.11.9',
        'safetensors>=0.5',
        'tokenizers>=0.22',
        'torch>=2.6',
        'tqdm>=4.60',
        'transformers>=5,<6',
    ],
    extras_require={
        'completion': ['argcomplete>=3'],
        'dev': [
            'av>=14',
            'duckdb>=1.3',
            'flask-cors>=6',
            'hypothesis>=6.100',
            'moto[s3]>=5.1',
            'mypy>=1.15',
            'onnxruntime>=1.23',
            'pandas>=2',
            'pillow>=10.1',
            'pyarrow>=18',
            'pycocotools>=2.0.8',
            'pytest>=8.4',
            'pytest-xdist>=3.6',
            'ray[serve]>=2.48',
            'ruff>=0.14',
            's3fs>=2025.3',
            'scipy>=1.11',
            'types-PyYAML',
        ],
        'docs': ['mkdocs-material>=9.6', 'mkdocstrings-python>=2'],
        'fleet': ['fsspec>=2025.3', 'pyarrow>=18', 'ray>=2.48'],
        'foxglove': ['foxglove-sdk>=0.30'],
        'notebook': ['pandas>=2', 'pillow>=10.1', 'supervision>=0.22'],
        'onnx': ['onnx>=1.19', 'onnxruntime>=1.23'],
        'openvino': ['openvino>=2026.4'],
        'serve': [
            'fastapi>=0.130',
            'prometheus-client>=0.20',
            'python-multipart>=0.0.20',
            'uvicorn>=0.38',
            'uvloop>=0.21',
        ],
        'serve-ray': [
            'fastapi>=0.130',
            'prometheus-client>=0.20',
            'python-multipart>=0.0.20',
            'ray[serve]>=2.48',
            'uvicorn>=0.38',
        ],
        'training': ['scipy>=1.11'],
        'video': ['av>=14'],
        'view': ['rerun-sdk>=0.39'],
        'world': ['open3d>=0.18'],
    },
    entry_points={'console_scripts': [f'robot-perception = {NAME}.cli.main:main']},
)
