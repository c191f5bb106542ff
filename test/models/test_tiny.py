from pathlib import Path
import stat
import subprocess
import sys

from checkpoints import sample_image
import numpy as np
import pytest
from tiny_checkpoints import write_tiny_checkpoints
import torch

from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
    UploadedImage,
)


def content(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob('*'))
        if file.is_file()
    }


def test_the_same_seed_writes_the_same_bytes(tiny, tmp_path):
    torch.manual_seed(99)
    write_tiny_checkpoints(tmp_path / 'again')
    assert content(tmp_path / 'again') == content(tiny['features'].parent)


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(tiny, tmp_path):
    code = (
        f'import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); '
        'from pathlib import Path; from tiny_checkpoints import write_tiny_checkpoints; '
        f'write_tiny_checkpoints(Path({str(tmp_path)!r}))'
    )
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)
    assert content(tmp_path) == content(tiny['features'].parent)


def test_another_seed_writes_other_weights(tiny, tmp_path):
    other = write_tiny_checkpoints(tmp_path, seed=1)
    for task, folder in tiny.items():
        name = 'model.safetensors'
        assert (other[task] / name).read_bytes() != (folder / name).read_bytes()


def test_the_global_random_state_is_unchanged(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    write_tiny_checkpoints(tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_they_are_small_world_readable_and_documented(tiny):
    for folder in tiny.values():
        assert {file.name for file in folder.iterdir()} == {
            'README.md',
            'config.json',
            'model.safetensors',
            'preprocessor_config.json',
        }
        for file in folder.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o644
        assert sum(file.stat().st_size for file in folder.iterdir()) < 600_000
        card = (folder / 'README.md').read_text()
        assert 'random weights' in card
        assert 'means\nnothing' in card


def test_their_outputs_vary(tiny):
    frame = UploadedImage(sample_image(96, 128))
    found = build_detector(str(tiny['detector'])).detect(frame, threshold=0.5, max_objects=20)
    assert len(found) >= 3
    assert len(np.unique(found.boxes_xyxy.round(), axis=0)) >= 3
    meters = build_depth_estimator(str(tiny['depth'])).estimate(frame).meters
    assert np.ptp(meters) > 1
    assert build_feature_extractor(str(tiny['features'])).extract(frame).patches.std() > 0.1
    segmenter = build_segmenter(str(tiny['segmenter']))
    masks = segmenter.segment(segmenter.encode(frame), found.boxes_xyxy)
    assert 0.02 < masks.pixels.mean() < 0.98
