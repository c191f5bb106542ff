"""Write a network as a checkpoint folder that `find_checkpoint` reads."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from robot_perception.models.checkpoint import PREPROCESSOR
from robot_perception.models.network import quiet_transformers


def write_checkpoint(
    network: Any,  # noqa: ANN401 - transformers publishes no types
    folder: Path,
    preprocessor: Mapping[str, Any],
    card: str,
) -> None:
    """Write config.json, model.safetensors, preprocessor_config.json and README.md for all."""
    folder.mkdir(parents=True, exist_ok=True)
    with quiet_transformers():
        network.save_pretrained(folder)
    text = json.dumps(preprocessor, indent=2, sort_keys=True)
    (folder / PREPROCESSOR).write_text(f'{text}\n', encoding='utf-8')
    (folder / 'README.md').write_text(card, encoding='utf-8')
    for file in folder.iterdir():
        # transformers writes weights for their owner alone.
        file.chmod(0o644)
