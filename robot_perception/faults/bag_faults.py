"""Rows 20 and 21: damaged recordings, and runs that are killed or find the disk full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
import hashlib
from pathlib import Path
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from rclpy.serialization import serialize_message

from robot_perception.core import SourceError
from robot_perception.faults.camera import calibration, random_image
from robot_perception.faults.mutation import seeded
from robot_perception.faults.node_process import CAMERA_INFO, IMAGE
from robot_perception.faults.outcome import Trials
from robot_perception.sources import BagMessage, BagWriter, Compression, open_bag

_BEGIN_NS, _PERIOD_NS = 1_700_000_000_000_000_000, 33_333_333
_SIZE_HW = (24, 32)
# 2.3 KB each, so that a file has several chunks of 1 MiB.
_IMAGES, _SHORT_IMAGES = 1500, 60
_CUTS, _COMMAND_EVERY = 64, 100
# Images that the command processes: every so many.
_EVERY = 10
_MAGIC_BYTES = 8
_RECORD = struct.Struct('<BQ')
_CHUNK, _MESSAGE_INDEX = 0x06, 0x07
_INDEX_HEAD, _INDEX_ROW = 6, 16
# Equal in each run, as measured times are not.
_TOPICS = ('scene', 'depth/image/compressedDepth', 'overlay/compressed')
_EXIT_FAILED, _EXIT_PARTLY = 1, 3
_COMMAND_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Where a chunk lies in a file, and how many messages it holds."""

    begin: int
    end: int
    messages: int


def _write_bag(folder: Path, images: int, compression: Compression = 'none') -> Path:
    """Write a recording; return its file."""
    with BagWriter(folder, compression=compression) as bag:
        for number in range(images):
            stamp_ns = _BEGIN_NS + number * _PERIOD_NS
            image = random_image(number, stamp_ns, _SIZE_HW)
            info = serialize_message(calibration(stamp_ns=stamp_ns))
            bag.write('/camera/camera_info', CAMERA_INFO, info, stamp_ns)
            bag.write('/camera/image_raw', IMAGE, serialize_message(image), stamp_ns + 1)
    return next(folder.glob('*.mcap'))


def _find_chunks(data: bytes) -> Iterator[_Chunk]:
    """Yield the chunks of a whole mcap file, by its records alone."""
    position = _MAGIC_BYTES
    chunk = (0, 0)
    messages = 0
    while position + _RECORD.size <= len(data) - _MAGIC_BYTES:
        code, size = _RECORD.unpack_from(data, position)
        end = position + _RECORD.size + size
        if code == _MESSAGE_INDEX:
            messages += (size - _INDEX_HEAD) // _INDEX_ROW
        elif chunk[1]:
            yield _Chunk(*chunk, messages)
            chunk, messages = (0, 0), 0
        if code == _CHUNK:
            chunk = (position, end)
        position = end


def _read(path: Path) -> tuple[list[BagMessage], bool]:
    """Return the messages of a bag file, and whether damage is reported."""
    messages = []
    try:
        bag = open_bag(path)
        try:
            damaged = bag.damage is not None
            topics = [topic.name for topic in bag.topics()]
            for message in bag.messages(topics):
                messages.append(message)  # noqa: PERF402 - reading may end with an error
        finally:
            bag.close()
    except SourceError:
        return messages, True
    return messages, damaged


def damage_bags(trials: int, seed: int) -> Trials:
    """Cut a bag at 64 points and flip bytes; all messages of whole chunks must be read."""
    choices = seeded(seed)
    failures: list[str] = []
    recovered = whole = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds: tuple[Compression, ...] = ('none', 'storage')
        originals = [_write_bag(folder / kind, _IMAGES, kind).read_bytes() for kind in kinds]
        known = [Counter(_read(folder / kind)[0]) for kind in kinds]
        for trial in range(trials):
            kind = trial % len(kinds)
            data = originals[kind]
            chunks = list(_find_chunks(data))
            cuts = trial < min(_CUTS, trials // 2)
            at = len(data) * (trial + 1) // (_CUTS + 1) if cuts else choices.randrange(len(data))
            damaged = data[:at] if cuts else _flip(data, at, choices.randrange(8))
            path = folder / 'damaged.mcap'
            path.write_bytes(damaged)
            messages, reported = _read(path)
            if cuts:
                expected = sum(one.messages for one in chunks if one.end <= at)
            else:
                expected = sum(one.messages for one in chunks if not one.begin <= at < one.end)
            recovered, whole = recovered + len(messages), whole + expected
            case = f'{"cut" if cuts else "flip"} at {at} of {len(data)}'
            if len(messages) < expected:
                failures.append(f'{case}: {len(messages)} messages, whole are {expected}')
            if cuts and (not reported or Counter(messages) - known[kind]):
                failures.append(f'{case}: reported {reported}, or other messages than written')
            if trial % _COMMAND_EVERY == 0:
                failures += _check_command(folder, path, messages, case)
    figures = {'messages_recovered': float(recovered), 'messages_in_whole_chunks': float(whole)}
    return Trials(trials, tuple(failures), figures)


def _flip(data: bytes, at: int, bit: int) -> bytes:
    flipped = bytearray(data)
    flipped[at] ^= 1 << bit
    return bytes(flipped)


def _check_command(
    folder: Path, path: Path, messages: list[BagMessage], case: str
) -> Iterator[str]:
    """Process a damaged bag; the result must open and the exit code must state the damage."""
    output = folder / 'results'
    program = _process(path, output, every=_EVERY)
    program.communicate(timeout=_COMMAND_LIMIT_S)
    code = program.returncode
    images = sum(message.topic == '/camera/image_raw' for message in messages)
    allowed = {0, _EXIT_PARTLY} if images else {_EXIT_FAILED}
    if code not in allowed:
        yield f'{case}: bag ended with {code}, expected one of {sorted(allowed)}'
    elif output.exists():
        results, damaged = _read(output)
        scenes = sum(message.topic == '/perception/scene' for message in results)
        if damaged or scenes != -(-images // _EVERY):
            yield f'{case}: {scenes} results of {images} images, damaged: {damaged}'
    shutil.rmtree(output, ignore_errors=True)


def _process(
    recording: Path, output: Path, size_limit: int = resource.RLIM_INFINITY, every: int = 1
) -> subprocess.Popen[bytes]:
    """Start ``robot-perception bag`` with files of at most so many bytes."""
    limit = f'import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size_limit},) * 2); '
    run = 'import sys; from robot_perception.cli.main import main; sys.exit(main())'
    return subprocess.Popen(  # noqa: S603 - this package
        [
            *(sys.executable, '-c', limit + run, 'bag', recording, '-o', output),
            *('--preset', 'stub', '--split', '10', '--every', str(every)),
            *('--topics', *_TOPICS),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def interrupt_runs(trials: int, seed: int) -> Trials:
    """Kill offline runs and fill their disk; the resumed output must equal that of a whole run."""
    choices = seeded(seed)
    failures: list[str] = []
    killed = full = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recording, output = folder / 'recording', folder / 'results'
        _write_bag(recording, _SHORT_IMAGES)
        begin_s = time.monotonic()
        failures += _end(_process(recording, output), 0, 'a whole run')
        whole_s = time.monotonic() - begin_s
        expected = _digest(output)
        largest = max(path.stat().st_size for path in output.iterdir())
        for trial in range(trials):
            shutil.rmtree(output, ignore_errors=True)
            if trial % 2:
                program = _process(recording, output, choices.randrange(1, largest))
                failures += _end(program, _EXIT_FAILED, f'{trial}: a full disk')
                full += 1
            else:
                program = _process(recording, output)
                try:
                    program.communicate(timeout=choices.uniform(0.2, 1.0) * whole_s)
                except subprocess.TimeoutExpired:
                    program.send_signal(signal.SIGKILL)
                    program.communicate()
                    killed += 1
            if not output.exists():
                failures += _end(_process(recording, output), 0, f'{trial}: the resumed run')
            if _digest(output) != expected:
                failures.append(f'{trial}: the result differs from that of a whole run')
        rest = sorted(path.name for path in folder.iterdir())
        if rest != ['recording', 'results']:
            failures.append(f'files are left: {rest}')
    return Trials(trials, tuple(failures), {'kills': float(killed), 'full_disks': float(full)})


def _end(program: subprocess.Popen[bytes], code: int, case: str) -> Iterator[str]:
    """Wait for a run to end; yield what is wrong with its end."""
    _, errors = program.communicate(timeout=_COMMAND_LIMIT_S)
    if program.returncode != code or b'Traceback' in errors:
        text = errors.decode(errors='replace')[-300:]
        yield f'{case} ended with {program.returncode}, expected {code}: {text}'


def _digest(bag: Path) -> str:
    """Return a hash of the names and contents of all files of a bag."""
    if not bag.is_dir():
        return ''
    total = hashlib.sha256()
    for path in sorted(bag.iterdir()):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()
