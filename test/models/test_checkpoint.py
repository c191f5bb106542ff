"""Lookup of checkpoints, and every reason to reject one."""

import json
import os
from pathlib import Path
import shutil
import subprocess
import sys

from checkpoints import rewrite_config, sample_image
import huggingface_hub
import numpy as np
import pytest
from reasons import raises

from robot_perception.core.errors import (
    ModelError,
    UnknownModelError,
    WeightsInvalidError,
    WeightsMissingError,
)
from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
    find_row,
    UploadedImage,
)
from robot_perception.models.checkpoint import find_checkpoint, locate_checkpoint

DETR = 'facebook/detr-resnet-50'
BUILD = {
    'features': build_feature_extractor,
    'depth': build_depth_estimator,
    'detector': build_detector,
    'segmenter': build_segmenter,
}


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty cache of the Hugging Face Hub, without network access."""
    cache = tmp_path / 'hub'
    cache.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_CACHE', str(cache))
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
    return cache


def snapshot(cache, model, revision):
    return cache / f'models--{model.replace("/", "--")}' / 'snapshots' / revision


def test_a_folder_is_read(tiny):
    found = find_checkpoint(str(tiny['detector']), 'detector')
    assert (found.name, found.family) == ('tiny-detr', 'detr')
    assert found.network_class == 'DetrForObjectDetection'
    assert found.preprocessor['size'] == {'shortest_edge': 800, 'longest_edge': 1333}
    assert found.weight_files == (tiny['detector'] / 'model.safetensors',)


def test_a_tilde_is_expanded(tiny, monkeypatch):
    monkeypatch.setenv('HOME', str(tiny['detector'].parent))
    assert find_checkpoint('~/tiny-detr', 'detector').name == 'tiny-detr'


def test_a_folder_takes_precedence_over_the_catalogue(tiny, tmp_path, monkeypatch):
    shutil.copytree(tiny['detector'], tmp_path / DETR)
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint(DETR, 'detector').name == 'detr-resnet-50'


def test_the_cache_of_the_hub_is_read_at_the_pinned_revision(tiny, hub_cache):
    """Another program may have downloaded it, so only the catalogue knows its checksum."""
    row = find_row(DETR)
    shutil.copytree(tiny['detector'], snapshot(hub_cache, DETR, row.revision))
    found = locate_checkpoint(DETR, 'detector')
    assert (found.name, found.folder.name) == (DETR, row.revision)
    assert found.sha256 == {'model.safetensors': row.sha256}
    with raises(WeightsInvalidError, 'wrong_checksum', f'SHA-256 {row.sha256}, got'):
        build_detector(DETR, device='cpu')


def test_another_revision_in_the_cache_is_not_used(tiny, hub_cache):
    shutil.copytree(tiny['detector'], snapshot(hub_cache, DETR, '0' * 40))
    with raises(WeightsMissingError, 'not_downloaded'):
        find_checkpoint(DETR, 'detector')


@pytest.mark.parametrize('task', BUILD)
def test_the_error_of_a_missing_checkpoint_names_parameter_cache_and_remedy(task, hub_cache):
    model = next(
        model
        for model in (
            'facebook/dinov2-small',
            'depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf',
            DETR,
            'facebook/sam2.1-hiera-tiny',
        )
        if find_row(model).task == task
    )
    message = (
        f'{task}.model: {model} is not on this machine. .*{find_row(model).revision} in '
        f'{hub_cache}. Run: robot-perception models pull {model}; or give the folder'
    )
    with raises(WeightsMissingError, 'not_downloaded', message):
        BUILD[task](model)


@pytest.mark.parametrize('model', ['detr-r500', '/no/such/folder', ''])
def test_the_error_of_an_unknown_name_lists_the_catalogue(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = (
        'detector.model: expected stub, demo, a folder or an id of the Hugging Face Hub; got '
        f'{model!r}.*Catalogue: {DETR}, .*For any other checkpoint give the folder'
    )
    with raises(UnknownModelError, 'unknown_model', message):
        build_detector(model)


def test_a_misspelled_name_is_answered_with_the_nearest(hub_cache):
    with raises(UnknownModelError, 'unknown_model', 'Nearest: demo. Catalogue: '):
        build_detector('demmo')
    message = 'somebody/unknown is not on this machine. .*Run: robot-perception models pull some'
    with raises(WeightsMissingError, 'not_downloaded', message):
        build_detector('somebody/unknown')


@pytest.mark.parametrize(
    ('task', 'family', 'nearest'),
    [
        ('detector', 'table-transformer', 'detr'),
        ('detector', 'rtdetr', 'rt_detr'),
        ('detector', None, 'detr'),
        ('segmenter', 'sam_hq', 'sam'),
        ('features', 'dinov3_convnext', 'convnext'),
    ],
)
def test_an_unsupported_architecture_is_answered_with_the_nearest(
    checkpoint_copy, task, family, nearest
):
    folder = checkpoint_copy(task)
    rewrite_config(folder, model_type=family)
    message = f'got {str(family)!r}' if family else 'got None'
    message += f', which is not supported. Nearest: {nearest}.'
    with raises(ModelError, 'unsupported_architecture', message):
        BUILD[task](str(folder))


def test_a_model_of_the_catalogue_for_another_task_is_rejected():
    message = f'depth.model: expected a model for this task, got {DETR!r}, which is for detector'
    with raises(ModelError, 'wrong_task', message):
        build_depth_estimator(DETR)


@pytest.mark.parametrize(
    ('task', 'other'), [('detector', 'depth'), ('segmenter', 'detector'), ('features', 'depth')]
)
def test_a_folder_for_another_task_is_rejected(task, other, tiny):
    with raises(ModelError, 'wrong_task'):
        BUILD[task](str(tiny[other]))


def test_a_folder_without_config_is_rejected(checkpoint_copy):
    folder = checkpoint_copy()
    (folder / 'config.json').unlink()
    with raises(WeightsMissingError, 'missing_file'):
        build_detector(str(folder))


@pytest.mark.parametrize('name', ['config.json', 'preprocessor_config.json'])
@pytest.mark.parametrize('text', ['{"model_type":', '[1]'])
def test_files_that_are_not_json_objects_are_rejected(checkpoint_copy, name, text):
    folder = checkpoint_copy()
    (folder / name).write_text(text)
    with raises(WeightsInvalidError, 'damaged'):
        build_detector(str(folder))


@pytest.mark.parametrize('name', ['config.json', 'preprocessor_config.json'])
def test_remote_code_is_never_run(checkpoint_copy, name, tmp_path):
    folder = checkpoint_copy()
    document = json.loads((folder / name).read_text())
    document['auto_map'] = {'AutoModelForObjectDetection': 'evil.Evil'}
    (folder / name).write_text(json.dumps(document))
    (folder / 'evil.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")\nclass Evil: pass\n')
    with raises(WeightsInvalidError, 'remote_code'):
        build_detector(str(folder))
    assert not (tmp_path / 'ran').exists()


def test_quantized_weights_are_rejected(checkpoint_copy):
    folder = checkpoint_copy()
    rewrite_config(folder, quantization_config={'quant_method': 'bitsandbytes'})
    with raises(WeightsInvalidError, 'quantized'):
        build_detector(str(folder))


@pytest.mark.parametrize('name', ['pytorch_model.bin', 'model.pt', 'model.pth'])
def test_pickled_weights_are_never_opened(checkpoint_copy, name):
    folder = checkpoint_copy()
    (folder / 'model.safetensors').rename(folder / name)
    message = f'expected model.safetensors, found only pickled weights .{name}.*can run code'
    with raises(WeightsInvalidError, 'pickled', message):
        build_detector(str(folder))


def test_a_folder_without_weights_is_rejected(checkpoint_copy):
    folder = checkpoint_copy()
    (folder / 'model.safetensors').unlink()
    with raises(WeightsMissingError, 'missing_file'):
        build_detector(str(folder))


def test_all_shards_are_read(tiny, checkpoint_copy):
    folder = checkpoint_copy()
    split(folder)
    frame = UploadedImage(sample_image())
    expected, found = (
        build_detector(str(path), device='cpu').detect(frame, threshold=0.0, max_objects=10)
        for path in (tiny['detector'], folder)
    )
    assert found.scores.tolist() == expected.scores.tolist()


def test_a_missing_shard_is_an_error(checkpoint_copy):
    folder = checkpoint_copy()
    split(folder)
    (folder / 'model-00001-of-00002.safetensors').unlink()
    with raises(WeightsInvalidError, 'missing_file'):
        build_detector(str(folder))


def split(folder: Path):
    from safetensors.torch import load_file, save_file

    weights = sorted(load_file(folder / 'model.safetensors').items())
    half = len(weights) // 2
    for number, part in enumerate((weights[:half], weights[half:]), start=1):
        save_file(dict(part), folder / f'model-0000{number}-of-00002.safetensors')
    (folder / 'model.safetensors').unlink()


@pytest.mark.parametrize(
    'text',
    ['{"a":' * 200_000, f'{{"model_type": "rt_detr", "a": {"[" * 100}{"]" * 100}}}'],
    ids=['200000 levels', '100 levels'],
)
def test_deep_json_is_rejected(checkpoint_copy, text):
    folder = checkpoint_copy()
    (folder / 'config.json').write_text(text)
    with raises(WeightsInvalidError, 'damaged'):
        build_detector(str(folder))


def test_nested_remote_code_is_never_run(checkpoint_copy):
    folder = checkpoint_copy('depth')
    document = json.loads((folder / 'config.json').read_text())
    document['backbone_config']['auto_map'] = {'AutoBackbone': 'evil.Evil'}
    (folder / 'config.json').write_text(json.dumps(document))
    with raises(WeightsInvalidError, 'remote_code'):
        build_depth_estimator(str(folder))


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'backbone': 'microsoft/resnet-50', 'backbone_config': None}, 'network_access'),
        ({'use_pretrained_backbone': True}, 'network_access'),
        ({'_attn_implementation': 'kernels-community/flash-attn'}, 'network_access'),
        ({'attn_implementation': {'': 'kernels-community/flash-attn'}}, 'network_access'),
        ({'num_hidden_layers': 20_000}, 'out_of_range'),
        ({'num_labels': 10**9}, 'out_of_range'),
        ({'fusion_hidden_size': 10**6}, 'out_of_range'),
        # Each number fits; their product is 13 GB.
        ({'fusion_hidden_size': 16_000}, 'out_of_range'),
        ({'neck_hidden_sizes': [8] * 10**5}, 'out_of_range'),
    ],
    ids=str,
)
def test_a_config_that_asks_for_more_than_the_folder_holds_is_rejected(
    checkpoint_copy, change, reason
):
    folder = checkpoint_copy('depth')
    document = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps(document | change))
    with raises(WeightsInvalidError, reason):
        build_depth_estimator(str(folder))


def test_overwriting_a_file_in_use_changes_nothing(checkpoint_copy):
    folder = checkpoint_copy('depth')
    network = build_depth_estimator(str(folder), device='cpu')
    image = UploadedImage(sample_image())
    before = network.estimate(image)
    (folder / 'model.safetensors').open('wb').close()
    assert np.array_equal(network.estimate(image).meters, before.meters, equal_nan=True)


HOSTILE = """
import json, socket, sys
from pathlib import Path
uses = ('socket.connect', 'socket.sendto', 'socket.getaddrinfo', 'socket.gethostbyname')
sys.addaudithook(lambda event, values: event in uses and print(event, *values, flush=True))
from robot_perception.core import ModelError
from robot_perception.models import build_depth_estimator
path = Path(sys.argv[1]) / 'config.json'
original = json.loads(path.read_text())
for change in json.loads(sys.argv[2]):
    path.write_text(json.dumps(original | change))
    try:
        build_depth_estimator(sys.argv[1], device='cpu')
    except ModelError as error:
        print('refused', error.reason)
    else:
        print('built')
"""
CHANGES = [
    {'backbone': 'owner/name', 'backbone_config': None},
    {'backbone': 'owner/name', 'backbone_config': None, 'use_timm_backbone': True},
    {'backbone_config': None},
    {'backbone_config': {'model_type': 'owner/name'}},
    {'backbone_config': {'model_type': 'timm_backbone', 'backbone': 'hf_hub:owner/name'}},
    {'backbone_config': 'owner/name'},
    {'_name_or_path': 'owner/name'},
    {'_attn_implementation': 'owner/kernel'},
    {'_attn_implementation_internal': 'owner/kernel'},
    {'experts_implementation': 'owner/kernel'},
    {'auto_map': {'AutoConfig': 'owner/name--config.Config'}},
    {'transformers_weights': 'owner/name', 'base_model_name_or_path': 'owner/name'},
    {'quantization_config': {'quant_method': 'gptq'}},
]


@pytest.mark.slow
def test_no_config_makes_the_program_ask_the_network(checkpoint_copy):
    folder = str(checkpoint_copy('depth'))
    environment = {key: value for key, value in os.environ.items() if key != 'HF_HUB_OFFLINE'}
    done = subprocess.run(
        [sys.executable, '-c', HOSTILE, folder, json.dumps(CHANGES)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(CHANGES), lines
    assert {line.partition(' ')[0] for line in lines} <= {'refused', 'built'}
