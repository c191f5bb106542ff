"""Start the perception node: a camera topic in; features, depth, objects and masks out.

An argument that is empty leaves the value in `params_file` as it is.
"""

from pathlib import Path

from ament_index_python.packages import get_package_prefix, PackageNotFoundError
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

SHARE = Path(__file__).absolute().parents[1]
# Names of the cameras where there is a single one.
ONE_CAMERA = ['']

ARGUMENTS = (
    DeclareLaunchArgument(
        'cameras',
        default_value='',
        description='Parameter cameras: names of several cameras, such as front,left. {camera} in '
        'the topics below stands for the name, as in image:=/{camera}/image_raw.',
    ),
    DeclareLaunchArgument(
        'image',
        default_value='',
        description='Topic of the camera images, raw or with /compressed at its end; by default '
        'image, or {camera}/image with several cameras.',
    ),
    DeclareLaunchArgument(
        'camera_info',
        default_value='',
        description='Topic of the calibration; by default the one beside the images.',
    ),
    DeclareLaunchArgument(
        'depth',
        default_value='',
        description='Topic of sensor depth. Sets depth.source to sensor, unless depth_source or '
        'params_file sets it.',
    ),
    DeclareLaunchArgument(
        'depth_camera_info',
        default_value='',
        description='Topic of its calibration, to register it; by default the one beside it.',
    ),
    DeclareLaunchArgument(
        'depth_source',
        default_value='',
        description='Parameter depth.source: model, sensor or fused.',
    ),
    DeclareLaunchArgument(
        'preset',
        default_value='',
        description='Parameter preset: robot, cpu, words, demo or stub.',
    ),
    DeclareLaunchArgument(
        'device',
        default_value='',
        description='Parameter device: auto, cpu, cuda or cuda:N.',
    ),
    DeclareLaunchArgument(
        'target_frame',
        default_value='',
        description='Parameter frames.target_frame: TF frame of 3D results, such as map.',
    ),
    DeclareLaunchArgument(
        'params_file',
        default_value=str(SHARE / 'config' / 'perception.yaml'),
        description='YAML file with the parameters of the node; may contain substitutions such '
        'as $(env NAME).',
    ),
    DeclareLaunchArgument(
        'namespace',
        default_value='',
        description='Namespace of the node, its relative topics and RViz.',
    ),
    DeclareLaunchArgument(
        'autostart',
        default_value='',
        description='Parameter autostart: true configures and activates at once, false leaves it '
        'to a lifecycle manager.',
    ),
    DeclareLaunchArgument(
        'use_sim_time',
        default_value='',
        description='Parameter use_sim_time: true follows /clock, for a simulator or a recording.',
    ),
    DeclareLaunchArgument(
        'use_respawn',
        default_value='false',
        description='Start the node again when it crashes.',
    ),
    DeclareLaunchArgument(
        'log_level',
        default_value='info',
        description='Least severe messages that are logged: debug, info, warn, error or fatal.',
    ),
    DeclareLaunchArgument(
        'rviz',
        default_value='false',
        description='Open RViz on the outputs.',
    ),
)

# Argument -> parameter that it sets.
TEXT_PARAMETERS = {
    'depth_source': 'depth.source',
    'device': 'device',
    'preset': 'preset',
    'target_frame': 'frames.target_frame',
}
BOOL_PARAMETERS = {'autostart': 'autostart', 'use_sim_time': 'use_sim_time'}

# What perception.rviz shows. It names them from the root, so a namespace is put before them here.
SHOWN = (
    'detections_3d',
    'depth/image',
    'markers',
    'masks/classes',
    'masks/instances',
    'overlay',
    'points',
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start_nodes)])


def start_nodes(context: LaunchContext) -> list[LifecycleNode | Node | LogInfo]:
    actions = [perception_node(context)]
    if is_true(context, 'rviz'):
        actions += [rviz_node(context, camera) for camera in camera_names(context)]
    return actions


def perception_node(context: LaunchContext) -> LifecycleNode:
    ros_arguments = ['--log-level', LaunchConfiguration('log_level')]
    if text(context, 'depth'):
        # Before the parameter file, which wins over it.
        ros_arguments += ['-p', 'depth.source:=sensor']
    return LifecycleNode(
        package='robot_perception',
        executable='perception_node',
        name='perception',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            ParameterFile(LaunchConfiguration('params_file'), allow_substs=True),
            given_parameters(context),
        ],
        remappings=[
            rule for camera in camera_names(context) for rule in camera_remappings(context, camera)
        ],
        ros_arguments=ros_arguments,
        respawn=is_true(context, 'use_respawn'),
        respawn_delay=2.0,
        output='screen',
    )


def rviz_node(context: LaunchContext, camera: str) -> Node | LogInfo:
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError:
        return LogInfo(msg='rviz2 is not installed: sudo apt install ros-$ROS_DISTRO-rviz2')
    given = given_parameters(context)
    return Node(
        package='rviz2',
        executable='rviz2',
        name='_'.join(filter(None, ('rviz', camera))),
        namespace=LaunchConfiguration('namespace'),
        arguments=['-d', str(SHARE / 'rviz' / 'perception.rviz')],
        parameters=[{'use_sim_time': given.get('use_sim_time', False)}],
        remappings=[
            (f'/perception/{topic}', '/'.join(filter(None, ('perception', camera, topic))))
            for topic in SHOWN
        ],
        output='screen',
    )


def given_parameters(context: LaunchContext) -> dict[str, bool | list[str] | ParameterValue]:
    """Return the parameters that arguments set."""
    texts = {
        parameter: ParameterValue(text(context, name), value_type=str)
        for name, parameter in TEXT_PARAMETERS.items()
        if text(context, name)
    }
    switches = {
        parameter: is_true(context, name)
        for name, parameter in BOOL_PARAMETERS.items()
        if text(context, name)
    }
    names = camera_names(context)
    cameras = {'cameras': names} if names != ONE_CAMERA else {}
    return {**texts, **switches, **cameras}


def camera_names(context: LaunchContext) -> list[str]:
    names = [name.strip() for name in text(context, 'cameras').strip('[]').split(',')]
    return [name for name in names if name] or ONE_CAMERA


def camera_remappings(context: LaunchContext, camera: str = '') -> list[tuple[str, str]]:
    """Return the topics of a camera, for every node that reads or publishes them.

    Raises:
        ValueError: several cameras are given one topic.
    """

    def given(name: str) -> str:
        topic = text(context, name)
        if camera and topic and '{camera}' not in topic:
            raise ValueError(
                f'{name}:={topic}: with several cameras expected a topic with {{camera}} in it, '
                f'such as {name}:=/{{camera}}/{topic.lstrip("/")}.'
            )
        return topic.replace('{camera}', camera)

    prefix = f'{camera}/' if camera else ''
    image = (given('image') or f'{prefix}image').removesuffix('/compressed')
    depth = given('depth') or f'{prefix}depth'
    beside_image = '/'.join([*image.split('/')[:-1], 'camera_info'])
    # A depth topic without a folder of its own would have the calibration of the images beside it.
    folder = depth.rpartition('/')[0] if given('depth') else ''
    beside_depth = f'{folder or depth}/camera_info'
    rules = [
        ('image', image),
        # A name is remapped as a whole, so the compressed topic needs a rule of its own.
        ('image/compressed', f'{image}/compressed'),
        ('camera_info', given('camera_info') or beside_image),
        ('depth', depth),
        ('depth/camera_info', given('depth_camera_info') or beside_depth),
    ]
    return [(f'{prefix}{name}', topic) for name, topic in rules]


def text(context: LaunchContext, argument: str) -> str:
    return LaunchConfiguration(argument).perform(context).strip()


def is_true(context: LaunchContext, argument: str) -> bool:
    """Read a truth value in any case: Nav2 writes True."""
    return bool(IfCondition(LaunchConfiguration(argument)).evaluate(context))
