"""A first run: replays a recording through DDS into the node and shows what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
import tempfile
import time

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor

from robot_perception.conversions import compressed_to_image, to_features, to_image, to_scene
from robot_perception.conversions.messages import Message
from robot_perception.core import Scene
from robot_perception.core.errors import PerceptionError
from robot_perception.nodes.child import (
    child_process,
    interruptible,
    keep_to_ourselves,
    run_node_process,
    run_replay_process,
)
from robot_perception.nodes.recorder import IMAGE, RecordedFrame, Recorder
from robot_perception.pipeline import PerceptionConfig
from robot_perception.pipeline.parameters import Value, values_of
from robot_perception.sources import open_source, Role
from robot_perception.sources.example import write_example_bag
from robot_perception.viewer import Figure, Table, write_page, write_scene
from robot_perception.viewer.atomic import make_folder, write_bytes

_START_LIMIT_S = 180.0
# The last frame of a slow network.
_LAST_FRAME_LIMIT_S = 60.0
_QUIET_S = 2.0
# The node, and the recorder, which hears the images too.
_LISTENERS = 2
_MILLISECONDS = 1e3
_STEM = 'demo'
_CAPTIONS = {
    'overlay': 'Objects: boxes, masks and names',
    'depth': 'Depth of every pixel',
    'cloud': 'The point cloud, seen from the side',
    'features': 'Scene features, three principal components as colours',
    'instances': 'Instance masks',
}


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What came out of a demo.

    Attributes:
        source: what was replayed.
        caveat: what has to be known before the results are believed, empty for nothing.
        counters: the node's own account of frames: received, published, dropped/REASON ...
        messages: messages that arrived, by topic.
        stages: (stage, p50, p95, p99) in seconds, as the node measured them.
        delays_s: seconds from the arrival of an image to that of its last output, each frame.
        scene: the last complete frame, rebuilt from the topics.
        files: what was written.

    """

    source: str
    caveat: str
    counters: Mapping[str, int]
    messages: Mapping[str, int]
    stages: tuple[tuple[str, float, float, float], ...]
    delays_s: tuple[float, ...]
    scene: Scene
    files: tuple[Path, ...]


def run_demo(
    config: PerceptionConfig,
    output: Path,
    *,
    source: str | None = None,
    seconds: float = 30.0,
    say: Callable[[str], None] = print,
) -> DemoReport:
    """Replay a recording into a node of its own, and write what came out.

    Args:
        config: parameters of the node.
        output: folder for pictures, scene.json, report.json and index.html.
        source: bag, video, folder, picture or webcam index; None makes an example recording.
        seconds: longest time to replay.
        say: told what happens.

    Raises:
        PerceptionError: the source cannot be read, the node does not start, or nothing came out.

    """
    ros_args = keep_to_ourselves()
    with tempfile.TemporaryDirectory() as scratch:
        if source is None:
            source = str(Path(scratch) / 'example')
            write_example_bag(Path(source))
            say('made an example recording: three balls on a floor, a moving camera')
        with open_source(source) as opened:
            transport = 'compressed' if Role.COMPRESSED_IMAGE in opened.roles else 'raw'
            description, live = opened.description, opened.live
        # Nobody wants to hear at the end that nothing can be written.
        make_folder(output)
        say(f'source: {description}')
        values = {
            **values_of(config),
            'input.transport': transport,
            'features.publish_patches': True,
            'use_sim_time': not live,
        }
        playing: dict[str, Value] = {
            'source': source,
            'clock': not live,
            'wait_for_subscriber_s': 10.0,
        }
        recorder = _record(
            ros_args, values, playing, transport=transport, seconds=seconds, say=say
        )
    return _write(recorder, description, config.caveat, output, transport)


def _record(
    ros_args: list[str],
    seeing: Mapping[str, object],
    playing: Mapping[str, Value],
    *,
    transport: str,
    seconds: float,
    say: Callable[[str], None],
) -> Recorder:
    rclpy.init(args=ros_args)
    recorder = Recorder(transport=transport)
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


def _write(
    recorder: Recorder, description: str, caveat: str, output: Path, transport: str
) -> DemoReport:
    frame = recorder.complete
    if frame is None or 'scene' not in frame.messages:
        raise PerceptionError(
            f'no frame came out of the node (it counted {dict(recorder.counters)}). '
            'Its messages above say why.'
        )
    scene = _scene(frame, transport)
    files = write_scene(scene, output, _STEM)
    report = DemoReport(
        source=description,
        caveat=caveat,
        counters={
            key: int(value) for key, value in recorder.counters.items() if value.isdecimal()
        },
        messages=dict(recorder.counts),
        stages=_stages(frame.messages['timing']),
        delays_s=recorder.delays_s,
        scene=scene,
        files=tuple(files),
    )
    text = json.dumps(_as_json(report), indent=2) + '\n'
    write_bytes(output / 'report.json', text.encode())
    _write_page(report, output)
    return report


def _scene(frame: RecordedFrame, transport: str) -> Scene:
    read = compressed_to_image if transport == 'compressed' else to_image
    features = frame.messages.get('features')
    return to_scene(
        frame.messages['scene'],
        read(frame.messages[IMAGE]),
        None if features is None else to_features(features),
    )


def _stages(timing: Message) -> tuple[tuple[str, float, float, float], ...]:
    return tuple(zip(timing.stages, timing.p50, timing.p95, timing.p99, strict=True))


def percentiles_ms(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Median, 95th and 99th percentile of at least one value, in milliseconds."""
    p50, p95, p99 = np.percentile(seconds, (50, 95, 99)) * _MILLISECONDS
    return float(p50), float(p95), float(p99)


def timing_rows(report: DemoReport) -> tuple[tuple[str, float, float, float], ...]:
    """Rows of the table of times: name, then p50, p95 and p99 in milliseconds."""
    rows = [
        (stage, p50 * _MILLISECONDS, p95 * _MILLISECONDS, p99 * _MILLISECONDS)
        for stage, p50, p95, p99 in report.stages
    ]
    return (*rows, ('image to last output', *percentiles_ms(report.delays_s)))


def _as_json(report: DemoReport) -> dict[str, object]:
    return {
        'source': report.source,
        'frames': dict(report.counters),
        'messages': dict(report.messages),
        'times_ms': {
            name: {'p50': round(p50, 3), 'p95': round(p95, 3), 'p99': round(p99, 3)}
            for name, p50, p95, p99 in timing_rows(report)
        },
    }


def _write_page(report: DemoReport, output: Path) -> None:
    figures = []
    for path in report.files:
        kind = path.stem.removeprefix(f'{_STEM}_')
        if path.suffix == '.png' and kind in _CAPTIONS:
            figures.append(Figure(path.name, _CAPTIONS[kind], _CAPTIONS[kind]))
    times = Table(
        'Times on this machine',
        ('stage', 'p50 / ms', 'p95 / ms', 'p99 / ms'),
        tuple((name, *(round(value, 2) for value in row)) for name, *row in timing_rows(report)),
    )
    frames = Table(
        'Frames as the node counted them',
        ('what', 'count'),
        tuple((key, value) for key, value in report.counters.items()),
    )
    messages = Table(
        'Messages that arrived', ('topic', 'count'), tuple(sorted(report.messages.items()))
    )
    notes = [f'{report.source}.', *([report.caveat] if report.caveat else [])]
    write_page(output, 'robot_perception', figures, (times, frames, messages), notes)
