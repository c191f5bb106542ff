"""A first run: replays a recording through DDS into the node and shows what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    interruptible,
    keep_to_ourselves,
    run_node_process,
    run_replay_process,
)
from robot_perception.nodes.demo_report import DemoReport, Judgement, write_report
from robot_perception.nodes.recorder import IMAGE, RecordedFrame, Recorder, SCENE
from robot_perception.pipeline import PerceptionConfig, Value
from robot_perception.sources import open_source, Role
from robot_perception.viewer import Step

_START_LIMIT_S = 180.0
# The last frame of a slow network.
_LAST_FRAME_LIMIT_S = 60.0
_QUIET_S = 2.0
# The node, and the recorder, which hears the images too.
_LISTENERS = 2
# Frames that are compared with the truth; more would not fit into the memory.
_MOST_JUDGED = 120
# Compares what came out with the truth.
Judge = Callable[[Iterable[Scene]], Judgement]


def run_demo(
    config: PerceptionConfig,
    output: Path,
    *,
    source: str,
    rate: float = 1.0,
    seconds: float = 30.0,
    judge: Judge | None = None,
    steps: Sequence[Step] = (),
    say: Callable[[str], None] = print,
) -> DemoReport:
    """Replay a recording into a node of its own, and write what came out.

    Args:
        config: parameters of the node.
        output: folder for pictures, scene.json, report.json and index.html.
        source: bag, video, folder, picture or webcam index.
        rate: how many times faster than recorded.
        seconds: longest time to replay.
        judge: given the scenes in order of their stamps, each rebuilt from the topics when it is
            asked for, and what it says is shown; None where there is no truth.
        steps: what to try next, for the page.
        say: told what happens.

    Raises:
        PerceptionError: the source cannot be read, the node does not start, or nothing came out.

    """
    ros_args = keep_to_ourselves()
    with open_source(source) as opened:
        transport = 'compressed' if Role.COMPRESSED_IMAGE in opened.roles else 'raw'
        description, live = opened.description, opened.live
    # Nobody wants to hear at the end that nothing can be written.
    make_folder(output)
    say(f'source: {description}')
    values = {
        **config.to_values(),
        'input.transport': transport,
        'features.publish_patches': True,
        'use_sim_time': not live,
    }
    playing: dict[str, Value] = {
        'source': source,
        'rate': rate,
        'clock': not live,
        'wait_for_subscriber_s': 10.0,
    }
    most_scenes = 0 if judge is None else _MOST_JUDGED
    recorder = _record(
        ros_args,
        values,
        playing,
        listen=partial(Recorder, transport=transport, most_scenes=most_scenes),
        seconds=seconds,
        say=say,
    )
    frame = _last_frame(recorder)
    accuracy = None
    if judge is not None:
        say(f'comparing {len(recorder.scenes)} frames with the truth')
        accuracy = judge(_scenes(recorder, transport))
    scene = _scene(frame, transport)
    report = DemoReport(
        source=description,
        caveat=config.caveat,
        counters={
            key: int(value) for key, value in recorder.counters.items() if value.isdecimal()
        },
        messages=dict(recorder.counts),
        stages=_stages(frame.messages['timing']),
        delays_s=recorder.delays_s,
        scene=scene,
        accuracy=accuracy,
    )
    write_report(report, output, steps)
    return report


def _record(
    ros_args: list[str],
    seeing: Mapping[str, object],
    playing: Mapping[str, Value],
    *,
    listen: Callable[[], Recorder],
    seconds: float,
    say: Callable[[str], None],
) -> Recorder:
    rclpy.init(args=ros_args)
    recorder = listen()
    executor = SingleThreadedExecutor()
    executor.add_node(recorder)
    try:
        with interruptible(), child_process(run_node_process, ros_args, seeing) as node:
            say('starting the node: loading networks')
            _spin(executor, _START_LIMIT_S, lambda: recorder.ready or not node.is_alive())
            if not recorder.ready:
                raise PerceptionError(
                    'the node did not start; its messages above say why. '
                    'Mend that, or try --preset stub, which needs no networks.'
                )
            say('replaying')
            with child_process(run_replay_process, ros_args, playing, _LISTENERS) as replay:
                _spin(executor, seconds, lambda: not (replay.is_alive() and node.is_alive()))
            played_s = time.monotonic()
            _spin(
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
    """Tell whether the node has said its last: nothing comes, and no frame is under way."""
    quiet_s = time.monotonic() - max(since_s, recorder.last_arrival_s)
    return quiet_s > _QUIET_S and recorder.counters.get('waiting', '0') == '0'


def _spin(executor: SingleThreadedExecutor, limit_s: float, done: Callable[[], bool]) -> None:
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)


def _last_frame(recorder: Recorder) -> RecordedFrame:
    frame = recorder.complete
    if frame is None or SCENE not in frame.messages:
        raise PerceptionError(
            f'no frame came out of the node (it counted {dict(recorder.counters)}). '
            'Its messages above say why.'
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
