"""The demo: replays a recording into the node over DDS and writes the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor

from robot_perception.conversions import (
    compressed_to_image,
    Message,
    to_features,
    to_image,
    to_scene,
)
from robot_perception.core import make_folder, PerceptionError, Scene
from robot_perception.nodes.child import (
    child_process,
    interrupt_on_shutdown,
    isolate_ros_graph,
    run_node_process,
    run_replay_process,
    spin_until,
)
from robot_perception.nodes.demo_report import Comparison, DemoReport, write_report
from robot_perception.nodes.recorder import IMAGE, RecordedFrame, Recorder, SCENE
from robot_perception.pipeline import PerceptionConfig, Value
from robot_perception.sources import open_source, Role
from robot_perception.viewer import Gallery, Step

_START_LIMIT_S = 180.0
# Time for the last frame of a slow network.
_LAST_FRAME_LIMIT_S = 60.0
_QUIET_S = 2.0
# The node, and the recorder, which also subscribes to the images.
_SUBSCRIBERS = 2
# Frames on the page, which are those compared with ground truth.
_MAX_SCENES = 120


def run_demo(
    config: PerceptionConfig,
    output: Path,
    *,
    source: str,
    rate: float = 1.0,
    seconds: float = 30.0,
    comparison: Comparison | None = None,
    steps: Sequence[Step] = (),
    log: Callable[[str], None] = print,
) -> DemoReport:
    """Replay a recording into a node process of its own and write the results.

    Args:
        config: parameters of the node.
        output: folder for images, scene.json, report.json and index.html.
        source: bag, video, folder, image or webcam index.
        rate: playback speed relative to the recording.
        seconds: maximum duration of the replay.
        comparison: receives the scenes, ordered by time stamp and rebuilt from the topics one at
            a time; None without ground truth.
        steps: suggested next commands, for the page.
        log: receives progress messages.

    Raises:
        PerceptionError: the source cannot be read, the node does not start, or no frame is
            published.
    """
    ros_args = isolate_ros_graph()
    with open_source(source) as opened:
        transport = 'compressed' if Role.COMPRESSED_IMAGE in opened.roles else 'raw'
        description, live = opened.description, opened.live
    # Fails now, not at the end, if the folder is not writable.
    make_folder(output)
    log(f'source: {description}')
    node_values = {
        **config.to_values(),
        'input.transport': transport,
        'features.publish_patches': True,
        'use_sim_time': not live,
    }
    replay_values: dict[str, Value] = {
        'source': source,
        'rate': rate,
        'clock': not live,
        'wait_for_subscriber_s': 10.0,
    }
    recorder = _record(
        ros_args,
        node_values,
        replay_values,
        make_recorder=partial(Recorder, transport=transport, max_scenes=_MAX_SCENES),
        seconds=seconds,
        log=log,
    )
    frame = _last_frame(recorder)
    log(f'writing {len(recorder.scenes)} frames')
    # Without ground truth it is the user's recording.
    prompts = ', '.join(config.detector.prompt_names)
    notes = [
        *([f'{description}.'] if comparison is None else []),
        *([f'Prompts: {prompts}.'] if prompts else []),
        *filter(None, [config.caveat]),
    ]
    gallery = Gallery(output, 'robot_perception', notes, caption=config.caption)
    for number, scene in enumerate(_scenes(recorder, transport)):
        gallery.add(scene, number, None if comparison is None else comparison.add(scene))
    scene = _scene(frame, transport)
    report = DemoReport(
        source=description,
        caption=config.caption,
        counters={
            key: int(value) for key, value in recorder.counters.items() if value.isdecimal()
        },
        messages=dict(recorder.counts),
        stages=_stages(frame.messages['timing']),
        delays_s=recorder.delays_s,
        scene=scene,
        accuracy=None if comparison is None else comparison.report(),
    )
    write_report(report, gallery, output, steps)
    return report


def _record(
    ros_args: list[str],
    node_values: Mapping[str, object],
    replay_values: Mapping[str, Value],
    *,
    make_recorder: Callable[[], Recorder],
    seconds: float,
    log: Callable[[str], None],
) -> Recorder:
    rclpy.init(args=ros_args)
    recorder = make_recorder()
    executor = SingleThreadedExecutor()
    executor.add_node(recorder)
    try:
        with (
            interrupt_on_shutdown(),
            child_process(run_node_process, ros_args, node_values) as node,
        ):
            log('starting the node: loading networks')
            spin_until(executor, _START_LIMIT_S, lambda: recorder.ready or not node.is_alive())
            if not recorder.ready:
                raise PerceptionError(
                    'node_failed',
                    'the node did not start; its messages above state the reason. '
                    'Fix that, or try --preset stub, which needs no networks.',
                )
            log('replaying')
            with child_process(
                run_replay_process, ros_args, replay_values, _SUBSCRIBERS
            ) as replay:
                spin_until(executor, seconds, lambda: not (replay.is_alive() and node.is_alive()))
            played_s = time.monotonic()
            spin_until(
                executor,
                _LAST_FRAME_LIMIT_S,
                lambda: not node.is_alive() or _is_quiet(recorder, played_s),
            )
    finally:
        executor.shutdown()
        recorder.destroy_node()
        rclpy.try_shutdown()
    return recorder


def _is_quiet(recorder: Recorder, since_s: float) -> bool:
    """Return whether the node is done: no messages for a while, and no frame in progress."""
    quiet_s = time.monotonic() - max(since_s, recorder.last_arrival_s)
    return quiet_s > _QUIET_S and recorder.counters.get('waiting', '0') == '0'


def _last_frame(recorder: Recorder) -> RecordedFrame:
    frame = recorder.complete
    if frame is None or SCENE not in frame.messages:
        raise PerceptionError(
            'no_output',
            f'the node published no frame (its counters: {dict(recorder.counters)}). '
            'Its messages above state the reason.',
        )
    return frame


def _scenes(recorder: Recorder, transport: str) -> Iterator[Scene]:
    for _, frame in sorted(recorder.scenes.items()):
        yield _scene(frame, transport)


def _scene(frame: RecordedFrame, transport: str) -> Scene:
    read = compressed_to_image if transport == 'compressed' else to_image
    features = frame.messages.get('features')
    return to_scene(
        frame.messages[SCENE],
        read(frame.messages[IMAGE]),
        None if features is None else to_features(features),
    )


def _stages(timing: Message) -> tuple[tuple[str, float, float, float], ...]:
    return tuple(zip(timing.stages, timing.p50, timing.p95, timing.p99, strict=True))
