"""Start the perception node: a camera topic in; features, depth, objects and masks out."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare('robot_perception')

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
    image = LaunchConfiguration('image')
    depth = LaunchConfiguration('depth')
    namespace = LaunchConfiguration('namespace')

    arguments = [
        DeclareLaunchArgument(
            'image',
            default_value='image',
            description='Topic of the camera images; with input.transport compressed, its base.',
        ),
        DeclareLaunchArgument(
            'camera_info',
            default_value=PythonExpression(
                ["'/'.join([*'", image, "'.split('/')[:-1], 'camera_info'])"]
            ),
            description='Topic of the calibration; by default the one beside the images.',
        ),
        DeclareLaunchArgument(
            'depth',
            default_value='depth',
            description='Topic of sensor depth, read if depth.source is sensor or fused.',
        ),
        DeclareLaunchArgument(
            'depth_camera_info',
            default_value=PythonExpression(
                ["'/'.join([*('", depth, "'.split('/')[:-1] or ['", depth, "']), 'camera_info'])"]
            ),
            description='Topic of its calibration, to register it; by default the one beside it.',
        ),
        DeclareLaunchArgument(
            'params_file',
            default_value=PathJoinSubstitution([SHARE, 'config', 'perception.yaml']),
            description='YAML file with the parameters of the node.',
        ),
        DeclareLaunchArgument(
            'namespace',
            default_value='',
            description='Namespace of the node, its relative topics and RViz.',
        ),
        DeclareLaunchArgument(
            'autostart',
            default_value='true',
            choices=['true', 'false'],
            description='Configure and activate at once; false leaves it to a lifecycle manager.',
        ),
        DeclareLaunchArgument(
            'use_sim_time',
            default_value='false',
            choices=['true', 'false'],
            description='Follow /clock, for a simulator or a recording.',
        ),
        DeclareLaunchArgument(
            'log_level',
            default_value='info',
            choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='Least severe messages that the node logs.',
        ),
        DeclareLaunchArgument(
            'rviz',
            default_value='false',
            choices=['true', 'false'],
            description='Open RViz on the outputs.',
        ),
    ]
    perception = LifecycleNode(
        package='robot_perception',
        executable='perception_node',
        name='perception',
        namespace=namespace,
        parameters=[
            LaunchConfiguration('params_file'),
            {
                'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
                'use_sim_time': ParameterValue(
                    LaunchConfiguration('use_sim_time'), value_type=bool
                ),
            },
        ],
        remappings=[
            ('image', image),
            # A name is remapped as a whole, so the compressed topic needs a rule of its own.
            ('image/compressed', [image, '/compressed']),
            ('camera_info', LaunchConfiguration('camera_info')),
            ('depth', depth),
            ('depth/camera_info', LaunchConfiguration('depth_camera_info')),
        ],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen',
    )
    rviz = Node(
        package='rviz2',
        executable='rviz2',
        name='rviz',
        namespace=namespace,
        arguments=['-d', PathJoinSubstitution([SHARE, 'rviz', 'perception.rviz'])],
        parameters=[
            {'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)}
        ],
        remappings=[(f'/perception/{topic}', f'perception/{topic}') for topic in SHOWN],
        condition=IfCondition(LaunchConfiguration('rviz')),
        output='screen',
    )
    return LaunchDescription([*arguments, perception, rviz])
