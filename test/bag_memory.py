"""Measures the memory that processing of a long recording takes.

As a program: ``python test/bag_memory.py 10000 --folder /big/disk`` writes a recording of jpeg
images of 640x480, processes it with the stub preset and prints how much the resident memory grew
after 500 images. ``--raw`` takes raw images (0.9 MB each); ``--topics`` selects the outputs.
"""

import argparse
import os
from pathlib import Path
import re
import subprocess
import sys
import tempfile

from bags import BEGIN_NS, CAMERA_INFO, COMPRESSED_IMAGE, compressed_image, IMAGE, PERIOD_NS

from robot_perception.bag.job import BagJob
from robot_perception.bag.processing import process_bags
from robot_perception.pipeline import PerceptionConfig
from robot_perception.pipeline.malloc import keep_freed_memory
from robot_perception.sources.bag_writer import BagWriter
from robot_perception.sources.messages import camera_info, color_image
from robot_perception.world import sequence

SETTLED = 500
STEP = 100
TOPICS = ('scene', 'features', 'detections', 'detections_3d')
_FRAME_ID = 'camera'
_IMAGES = 10


def write_recording(path, count, size_hw, *, raw=False):
    """Write rendered images again and again, with increasing stamps."""
    frames = list(sequence(900_136, _IMAGES, size_hw))
    with BagWriter(path) as bag:
        for index in range(count):
            frame, stamp_ns = frames[index % len(frames)], BEGIN_NS + index * PERIOD_NS
            info = camera_info(frame.camera, stamp_ns, _FRAME_ID)
            bag.write('/camera/camera_info', CAMERA_INFO, info, stamp_ns)
            bgr = frame.image.rgb[..., ::-1]
            if raw:
                image = color_image(bgr, stamp_ns, _FRAME_ID)
                bag.write('/camera/image_raw', IMAGE, image, stamp_ns)
            else:
                image = compressed_image(bgr, stamp_ns)
                bag.write('/camera/image_raw/compressed', COMPRESSED_IMAGE, image, stamp_ns)


def resident_kib():
    """Return the resident memory of this process."""
    text = Path('/proc/self/status').read_text(encoding='ascii')
    return int(re.search(r'VmRSS:\s+(\d+) kB', text)[1])


def process(bag, output, topics):
    """Process a recording; returns the report and the resident KiB after each hundred images."""
    keep_freed_memory()
    resident, done = [], [0]

    def on_image():
        done[0] += 1
        if done[0] % STEP == 0:
            resident.append(resident_kib())

    job = BagJob((bag,), output, PerceptionConfig.from_preset('stub'), topics=topics)
    report = process_bags(job, on_image=on_image)
    return report, resident


def process_in_subprocess(bag, output, topics=TOPICS):
    """Process a recording in another process; returns its summary and the resident KiB."""
    result = subprocess.run(
        [sys.executable, __file__, '--process', bag, '--folder', output, '--topics', *topics],
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        check=True,
    )
    summary, numbers = result.stdout.splitlines()
    return summary, [int(one) for one in numbers.split()]


def growth_kib(resident):
    """Return how much the memory grew after the first images."""
    return max(resident[SETTLED // STEP :]) - resident[SETTLED // STEP - 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('count', type=int, nargs='?', default=10_000, help='images')
    parser.add_argument('--folder', type=Path, help='for recording and results (deleted)')
    parser.add_argument('--raw', action='store_true', help='raw images instead of jpeg')
    parser.add_argument('--topics', nargs='+', default=TOPICS)
    parser.add_argument('--process', type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.process:
        report, resident = process(arguments.process, arguments.folder, tuple(arguments.topics))
        busy = ', '.join(f'{key} {took:.0f} s' for key, took in report.busy_s.items())
        rate = report.counts.processed / report.elapsed_s
        print(f'{report.counts.processed} images, {rate:.1f} frames/s; busy: {busy}')
        print(*resident)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        bag = Path(folder, 'recording')
        write_recording(bag, arguments.count, (480, 640), raw=arguments.raw)
        summary, resident = process_in_subprocess(bag, Path(folder, 'results'), arguments.topics)
    print(summary)
    print('resident MiB:', *(f'{kib / 1024:.0f}' for kib in resident[4::5]))
    print(f'grew by {growth_kib(resident) / 1024:.1f} MiB after the first {SETTLED} images')


if __name__ == '__main__':
    main()
