"""Processes a long recording and looks at the memory that takes.

As a program: ``python test/bag_memory.py 10000 --folder /big/disk`` writes a recording of jpeg pictures of
640x480, sees it with the stub preset and says how far the resident memory grew after 500 images.
``--raw`` takes raw pictures (0.9 MB each); ``--topics`` chooses what is written.
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
_PICTURES = 10


def write_recording(path, count, size_hw, *, raw=False):
    """Write rendered pictures over and over, each with a stamp of its own."""
    frames = list(sequence(900_136, _PICTURES, size_hw))
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
    """Memory of this process that lies in RAM."""
    text = Path('/proc/self/status').read_text(encoding='ascii')
    return int(re.search(r'VmRSS:\s+(\d+) kB', text)[1])


def see(bag, output, topics):
    """See a recording in this process; gives the resident KiB after each hundred images."""
    keep_freed_memory()
    resident, seen = [], [0]

    def on_image():
        seen[0] += 1
        if seen[0] % STEP == 0:
            resident.append(resident_kib())

    job = BagJob((bag,), output, PerceptionConfig.from_preset('stub'), topics=topics)
    report = process_bags(job, on_image=on_image)
    return report, resident


def seen_alone(bag, output, topics=TOPICS):
    """See a recording in a process of its own; gives what it prints and the resident KiB."""
    done = subprocess.run(
        [sys.executable, __file__, '--see', bag, '--folder', output, '--topics', *topics],
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        check=True,
    )
    summary, numbers = done.stdout.splitlines()
    return summary, [int(one) for one in numbers.split()]


def growth_kib(resident):
    """How far the memory grew over what it was after the first images."""
    return max(resident[SETTLED // STEP :]) - resident[SETTLED // STEP - 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('count', type=int, nargs='?', default=10_000, help='images')
    parser.add_argument('--folder', type=Path, help='for recording and results (deleted)')
    parser.add_argument('--raw', action='store_true', help='raw pictures instead of jpeg')
    parser.add_argument('--topics', nargs='+', default=TOPICS)
    parser.add_argument('--see', type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.see:
        report, resident = see(arguments.see, arguments.folder, tuple(arguments.topics))
        busy = ', '.join(f'{key} {took:.0f} s' for key, took in report.busy_s.items())
        rate = report.counts.processed / report.elapsed_s
        print(f'{report.counts.processed} images, {rate:.1f} frames/s; busy: {busy}')
        print(*resident)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        bag = Path(folder, 'recording')
        write_recording(bag, arguments.count, (480, 640), raw=arguments.raw)
        summary, resident = seen_alone(bag, Path(folder, 'results'), arguments.topics)
    print(summary)
    print('resident MiB:', *(f'{kib / 1024:.0f}' for kib in resident[4::5]))
    print(f'grew by {growth_kib(resident) / 1024:.1f} MiB after the first {SETTLED} images')


if __name__ == '__main__':
    main()
