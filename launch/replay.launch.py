"""Play a recording into the perception node; takes the arguments of perception.launch.py too."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import (
    load_python_launch_file_as_module,
    PythonLaunchDescriptionSource,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PERCEPTION = str(Path(__file__).absolute().with_name('perception.launch.py'))
perception = load_python_launch_file_as_module(PERCEPTION)

ARGUMENTS = (
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
        description='Begin again at the end; time then jumps back.',
    ),
    DeclareLaunchArgument(
        'clock',
        default_value='true',
        description='Publish the recorded time on /clock, and let all nodes follow it.',
    ),
    DeclareLaunchArgument(
        'shutdown_at_end',
        default_value='false',
        description='Stop all nodes when the recording has ended or cannot be read.',
    ),
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *ARGUMENTS,
            # First: it declares the arguments that replay_node reads as well.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(PERCEPTION),
                launch_arguments={'use_sim_time': LaunchConfiguration('clock')}.items(),
            ),
            OpaqueFunction(function=replay_node),
        ]
    )


def replay_node(context: LaunchContext) -> list[Node]:
    ends = perception.is_true(context, 'shutdown_at_end')
    return [
        Node(
            package='robot_perception',
            executable='replay_node',
            name='replay',
            namespace=LaunchConfiguration('namespace'),
            parameters=[
                {
                    # A webcam is named by a number, which must stay text.
                    'source': ParameterValue(LaunchConfiguration('source'), value_type=str),
                    'rate': ParameterValue(LaunchConfiguration('rate'), value_type=float),
                    'loop': perception.is_true(context, 'loop'),
                    'clock': perception.is_true(context, 'clock'),
                    # The networks take their time to load; nothing is played before they listen.
                    'wait_for_subscriber_s': 120.0,
                }
            ],
            remappings=perception.camera_remappings(context),
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            on_exit=Shutdown(reason='the recording has ended') if ends else None,
            output='screen',
        )
    ]
