"""Play a recording into the perception node."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare('robot_perception')


def generate_launch_description() -> LaunchDescription:
    clock = LaunchConfiguration('clock')
    namespace = LaunchConfiguration('namespace')

    arguments = [
        DeclareLaunchArgument(
            'source',
            description='Path of a rosbag2, video, folder of pictures, or index of a webcam.',
        ),
        DeclareLaunchArgument(
            'rate',
            default_value='1.0',
            description='How many times faster than recorded.',
        ),
        DeclareLaunchArgument(
            'loop',
            default_value='false',
            choices=['true', 'false'],
            description='Begin again at the end; time then jumps back.',
        ),
        DeclareLaunchArgument(
            'clock',
            default_value='true',
            choices=['true', 'false'],
            description='Publish the recorded time on /clock, and let all nodes follow it.',
        ),
        DeclareLaunchArgument(
            'params_file',
            default_value=PathJoinSubstitution([SHARE, 'config', 'perception.yaml']),
            description='YAML file with the parameters of the perception node.',
        ),
        DeclareLaunchArgument(
            'namespace',
            default_value='',
            description='Namespace of the nodes, their relative topics and RViz.',
        ),
        DeclareLaunchArgument(
            'log_level',
            default_value='info',
            choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='Least severe messages that the nodes log.',
        ),
        DeclareLaunchArgument(
            'rviz',
            default_value='false',
            choices=['true', 'false'],
            description='Open RViz on the outputs.',
        ),
    ]
    replay = Node(
        package='robot_perception',
        executable='replay_node',
        name='replay',
        namespace=namespace,
        parameters=[
            {
                # A webcam is named by a number, which must stay text.
                'source': ParameterValue(LaunchConfiguration('source'), value_type=str),
                'rate': ParameterValue(LaunchConfiguration('rate'), value_type=float),
                'loop': ParameterValue(LaunchConfiguration('loop'), value_type=bool),
                'clock': ParameterValue(clock, value_type=bool),
                # The networks take their time to load; nothing is played before they listen.
                'wait_for_subscriber_s': 120.0,
            }
        ],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen',
    )
    # image, camera_info and depth keep their names here, so the two nodes meet on them.
    perception = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([SHARE, 'launch', 'perception.launch.py'])
        ),
        launch_arguments={
            'params_file': LaunchConfiguration('params_file'),
            'namespace': namespace,
            'use_sim_time': clock,
            'log_level': LaunchConfiguration('log_level'),
            'rviz': LaunchConfiguration('rviz'),
        }.items(),
    )
    return LaunchDescription([*arguments, perception, replay])
