"""Measures what questions cost the frames; run by hand.

``python test/questions_bench.py --set cpu_threads=2 --set describer.cpu_threads=2`` processes
images of the demo world as fast as it can, in spells without and with questions, which are asked
one after another. Without ``describer.model`` random weights of the size of a small one answer:
13 million parameters for the image and 113 million for the text, in fp32.
"""

import argparse
from contextlib import closing, contextmanager
from pathlib import Path
import statistics
import tempfile
import threading
import time
from typing import NamedTuple

from robot_perception.cli.settings import add_settings, read_settings
from robot_perception.core import ModelError
from robot_perception.pipeline import DescriberProcess, PerceptionPipeline, Question
from robot_perception.world import render

SIZE_HW = (480, 640)
IMAGES = 8
# Short answers, so that the image is encoded again and again.
NEW_TOKENS = 64
VISION = {
    'hidden_size': 384,
    'intermediate_size': 1536,
    'num_hidden_layers': 7,
    'num_attention_heads': 6,
    'image_size': 224,
}
TEXT = {
    'hidden_size': 768,
    'intermediate_size': 3072,
    'num_hidden_layers': 12,
    'num_attention_heads': 12,
    'num_key_value_heads': 12,
    'head_dim': 64,
}


class Spell(NamedTuple):
    """Some seconds of frames.

    Attributes:
        fps: frames a second.
        frame_cpu_s: CPU time of a frame.
        cores: that the frames used.
        tokens: a second.
        asked_cores: cores that the process of the describer used.
        other_cores: cores that all other programs used.
    """

    fps: float
    frame_cpu_s: float
    cores: float
    tokens: float
    asked_cores: float
    other_cores: float


def machine_busy_s():
    """Return the CPU time of all programs so far."""
    user, nice, system, _, _, irq, soft_irq, *_ = (
        int(value) for value in Path('/proc/stat').read_text().split()[1:11]
    )
    return (user + nice + system + irq + soft_irq) / 100


def process_busy_s(pid):
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Questions:
    """Asks one question after another, on a thread of its own as in the node.

    Attributes:
        tokens: count so far.
    """

    def __init__(self, describer, config, image):
        self.tokens = 0
        self._describer, self._config = describer, config
        self._question = Question('what is on the table?', image)

    @contextmanager
    def asked(self):
        """Ask while the body runs, from the first token on."""
        begun, ended = threading.Event(), threading.Event()

        def count(_):
            self.tokens += 1
            begun.set()

        def ask():
            try:
                while not ended.is_set():
                    self._describer.ask(
                        self._config, self._question, on_text=count, is_cancelled=ended.is_set
                    )
            except ModelError as error:
                if error.reason != 'cancelled':
                    raise
            finally:
                begun.set()

        thread = threading.Thread(target=ask)
        thread.start()
        begun.wait()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def measure(pipeline, frames, seconds, describer, questions):
    """Process frames for some seconds."""
    count, tokens = 0, questions.tokens
    asked_s, machine_s = process_busy_s(describer.pid), machine_busy_s()
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    while time.perf_counter() < begin_s + seconds:
        frame = frames[count % len(frames)]
        pipeline.process(frame.image, frame.camera)
        count += 1
    took_s = time.perf_counter() - begin_s
    cpu_s = time.process_time() - begin_cpu_s
    asked_s = process_busy_s(describer.pid) - asked_s
    other_s = machine_busy_s() - machine_s - asked_s - cpu_s
    return Spell(
        count / took_s,
        cpu_s / count,
        cpu_s / took_s,
        (questions.tokens - tokens) / took_s,
        asked_s / took_s,
        other_s / took_s,
    )


def measure_in_turn(config, rounds, seconds):
    """Return the spells without and with questions, each round beginning with the other one."""
    frames = [render(seed, SIZE_HW) for seed in range(IMAGES)]
    pipeline = PerceptionPipeline.load(config)
    alone, asked = [], []
    with closing(DescriberProcess()) as describer:
        questions = Questions(describer, config, frames[0].image)
        with questions.asked():
            # The network is loaded.
            pass

        def one(spells):
            spells.append(measure(pipeline, frames, seconds, describer, questions))

        one([])
        for number in range(rounds):
            for spells in (alone, asked) if number % 2 else (asked, alone):
                if spells is asked:
                    with questions.asked():
                        one(asked)
                else:
                    one(alone)
    return alone, asked


def print_spells(name, spells):
    mean = Spell(*(statistics.median(values) for values in zip(*spells, strict=True)))
    print(
        f'{name}: {mean.fps:.2f} frames a second, {mean.frame_cpu_s * 1e3:.0f} ms of CPU each, '
        f'{mean.cores:.2f} cores; {mean.tokens:.1f} tokens a second, {mean.asked_cores:.2f} '
        f'cores; other programs {mean.other_cores:.2f} cores'
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    add_settings(parser, preset='demo')
    parser.add_argument('--rounds', type=int, default=8, help='of a spell of each kind')
    parser.add_argument('--seconds', type=float, default=5.0, help='of a spell')
    arguments = parser.parse_args()
    # Not at the top, which the process of the describer imports.
    from tiny_describers import write_tiny_describer

    config = read_settings(arguments)
    with tempfile.TemporaryDirectory() as folder:
        values = {'describer.max_new_tokens': NEW_TOKENS, 'describer.timeout_s': 3600.0}
        if not config.describer.model:
            write_tiny_describer('llava', Path(folder), vision=VISION, text=TEXT)
            values['describer.model'] = folder
        alone, asked = measure_in_turn(
            config.with_values(values), arguments.rounds, arguments.seconds
        )
    print_spells('without questions', alone)
    print_spells('with questions', asked)
    ratios = [one.fps / other.fps for one, other in zip(asked, alone, strict=True)]
    shown = ', '.join(f'{ratio:.2f}' for ratio in sorted(ratios))
    print(f'frames lost: {1 - statistics.median(ratios):.1%} (with / without: {shown})')


if __name__ == '__main__':
    main()
