"""Section of the configuration for questions about images."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.pipeline.choices import Precision
from robot_perception.pipeline.parameters import parameter, Section


@dataclass(frozen=True, slots=True)
class DescriberConfig(Section, name='describer'):
    """Answers to questions, in a process of their own."""

    model: str = parameter(
        '',
        'Network that answers questions: id on the Hugging Face Hub, folder of a checkpoint, or '
        'stub; empty = none. It is loaded for the first question (docs/questions.md).',
        live=True,
    )
    precision: Precision = parameter(
        Precision.AUTO,
        'Precision of this network; auto = bf16 on CUDA, fp32 on a CPU.',
        live=True,
    )
    cpu_threads: int = parameter(
        1,
        'CPU threads of this network, at the lowest priority.',
        limits=(1, 1024),
        live=True,
    )
    max_new_tokens: int = parameter(
        128,
        'Maximum length of an answer. A token is about a syllable.',
        unit='tokens',
        limits=(1, 4096),
        live=True,
    )
    timeout_s: float = parameter(
        60.0,
        'Maximum time for an answer, without the time to load the network.',
        unit='seconds',
        limits=(0.1, 3600.0),
        live=True,
    )
