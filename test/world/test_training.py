"""Training of the demo models: batches, losses, resuming and checkpoints."""

from dataclasses import replace
import json
import shutil

import numpy as np
import pytest
from reasons import raises
from safetensors.torch import load_file
from tiny_checkpoints import write_tiny_checkpoints
import torch
import transformers

from robot_perception.core.errors import InputError, OutputError, WeightsMissingError
from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
    UploadedImage,
)
from robot_perception.world import render
from robot_perception.world.phrases import UNSEEN_PHRASES, vocabulary
from robot_perception.world.training import (
    CHECKPOINTS,
    depth,
    RECIPES,
    render_dataset,
    train_demo_model,
)
from robot_perception.world.training.batches import training_batch, validation_batches
from robot_perception.world.training.boxes import elementwise_iou
from robot_perception.world.training.dataset import open_dataset
from robot_perception.world.training.dense_head import dense_loss
from robot_perception.world.training.muon import Muon, orthogonalize
from robot_perception.world.training.trainer import rate_factor, STATE, train
from robot_perception.world.training.word_tokenizer import build_tokenizer

pytestmark = pytest.mark.slow

SEEDS = range(40, 60)


@pytest.fixture(autouse=True, scope='module')
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes') / 'data'
    render_dataset(folder, SEEDS, processes=1)
    return folder


@pytest.fixture
def dataset(folder):
    return open_dataset(folder)


def test_an_epoch_has_every_training_scene_once_and_no_validation_scene(dataset):
    count = len(SEEDS) - 2
    watched = validation_batches(dataset, 2)
    assert len(watched) == 1
    np.testing.assert_array_equal(
        watched[0].pixels.permute(0, 2, 3, 1).numpy(), dataset.images[-2:]
    )
    # Mean depth identifies a scene: exposure and mirroring leave it unchanged.
    means = np.nanmean(dataset.depth_m.astype(np.float64), axis=(1, 2))
    kept = [
        int(np.argmin(np.abs(means - np.nanmean(depth.astype(np.float64)))))
        for step in range(count // 3)
        for depth in training_batch(dataset, step, 3).depth_m.numpy()
    ]
    assert sorted(kept) == list(range(count))


def test_mirrored_images_have_mirrored_boxes(dataset):
    mirrored = 0
    for step in range(3):
        batch = training_batch(dataset, step, 6)
        for index in range(6):
            ids = batch.instances[index].numpy()
            mirrored += not any(np.array_equal(ids, whole) for whole in dataset.instances)
            for row in np.flatnonzero(batch.classes[index].numpy() >= 0):
                rows, columns = np.nonzero(ids == row + 1)
                left, top, right, bottom = batch.boxes_xyxy[index, row].tolist()
                assert (left, right) == (columns.min(), columns.max() + 1)
                assert (top, bottom) == (rows.min(), rows.max() + 1)
    assert 3 <= mirrored <= 15


def test_the_batch_of_a_step_is_deterministic(dataset):
    one, other = training_batch(dataset, 5, 4), training_batch(dataset, 5, 4)
    assert torch.equal(one.pixels, other.pixels)
    assert torch.equal(one.boxes_xyxy, other.boxes_xyxy)


def test_perfect_dense_predictions_have_no_loss(dataset):
    batch = validation_batches(dataset, 2)[0]
    height, width = 30, 40
    rows = (np.arange(height) * 8 + 4)[:, None]
    columns = (np.arange(width) * 8 + 4)[None]
    ids = batch.instances.numpy()[:, rows, columns]
    answers = torch.zeros(2, 12, height, width)
    for index, row, column in np.ndindex(ids.shape):
        number = ids[index, row, column]
        kind = 7 if number == 0 else int(batch.classes[index, number - 1])
        answers[index, kind, row, column] = 50
        if number:
            left, top, right, bottom = batch.boxes_xyxy[index, number - 1].tolist()
            middle = (column * 8 + 4, row * 8 + 4)
            reach = np.array(
                [middle[0] - left, middle[1] - top, right - middle[0], bottom - middle[1]]
            )
            answers[index, 8:, row, column] = torch.from_numpy(
                np.log(np.expm1(np.maximum(reach / 8, 1e-6)))
            )
    assert float(dense_loss(answers, batch)) < 1e-4
    answers[:, 8:] += 0.3
    assert float(dense_loss(answers, batch)) > 0.05


def test_elementwise_iou():
    one = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    other = torch.tensor([[1.0, 1.0, 3.0, 3.0], [2.0, 2.0, 3.0, 3.0], [0.0, 0.0, 1.0, 1.0]])
    torch.testing.assert_close(elementwise_iou(one, other), torch.tensor([1 / 7, 0.0, 1.0]))


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize('task', sorted(RECIPES))
def test_a_resumed_training_equals_an_uninterrupted_one(dataset, tmp_path, task):
    def recipe():
        small = RECIPES[task]()
        small.batch_size = 2
        return small

    whole = weights(train(recipe(), dataset, tmp_path / 'whole', steps=3, report_every=1))
    stopped = []

    def stop(progress):
        stopped.append(progress)
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), dataset, tmp_path / 'halves', steps=3, report_every=1, on_report=stop)
    done = []
    resumed = weights(
        train(recipe(), dataset, tmp_path / 'halves', steps=3, report_every=1, on_step=done.append)
    )
    assert done == [2, 1]
    assert all(value >= 0 or np.isnan(value) for value in stopped[0].metrics.values())
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


@pytest.mark.parametrize('backbone_phase', [0, 1])
def test_training_reduces_the_loss(dataset, tmp_path, backbone_phase):
    """Of the whole network on all patches, and of the backbone on a quarter."""
    recipe = RECIPES['depth']()
    recipe.batch_size = 4
    recipe.backbone_phase = backbone_phase
    recipe.whole_probability = 0
    losses = []
    train(
        recipe,
        dataset,
        tmp_path,
        steps=12,
        report_every=4,
        warm_up=1,
        on_report=lambda progress: losses.append(progress.loss),
    )
    assert losses[-1] < 0.9 * losses[0]


def test_muon_equals_the_one_of_torch_within_bfloat16():
    shapes = [(8, 8), (24, 8), (8, 24)]
    ours, theirs = ([torch.nn.Parameter(torch.ones(shape)) for shape in shapes] for _ in range(2))
    here = Muon(ours, 3e-3, 0.1)
    there = torch.optim.Muon(theirs, lr=3e-3, weight_decay=0.1, adjust_lr_fn='match_rms_adamw')
    torch.manual_seed(0)
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        here.step()
        there.step()
    for one, other in zip(ours, theirs, strict=True):
        moved = (other - 1).norm()
        # torch computes in bfloat16, with three digits.
        assert 0 < (one - other).norm() < 0.03 * moved


@pytest.mark.parametrize('shape', [(12, 12), (12, 40), (40, 12)])
def test_orthogonalization_keeps_the_singular_vectors(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inner = left.T @ orthogonalize(matrix) @ right.T
    diagonal = inner.diagonal()
    assert 0.5 < diagonal.min() < diagonal.max() < 1.3
    torch.testing.assert_close(inner, diagonal.diag(), atol=1e-4, rtol=0)


def test_learning_rate_schedule():
    assert rate_factor(0, 10_000, 0.4, warm_up=300) == pytest.approx(1 / 300)
    assert rate_factor(3999, 10_000, 0.4, warm_up=300) == 1
    assert rate_factor(7000, 10_000, 0.4, warm_up=300) == pytest.approx(0.5)
    assert rate_factor(5000, 10_000, 0.0, warm_up=300) == pytest.approx(0.5)
    assert rate_factor(9999, 10_000, 0.0, warm_up=300) < 1e-6


def test_samples_of_kept_patches_match_their_position(dataset):
    batch = validation_batches(dataset, 2)[0]
    every = depth.sample_by_patch(batch.depth_m, None)
    assert every.shape == (2, 12 * 16, 49)
    # Row 5, column 3 of the patches, the middle of its 7 x 7 points, in a picture of 240 x 320.
    assert torch.equal(every[:, 5 * 16 + 3, 24], batch.depth_m[:, 110, 70])
    kept = torch.tensor([[7, 100], [191, 0]])
    some = depth.sample_by_patch(batch.depth_m, kept)
    for index in range(2):
        assert torch.equal(some[index].nan_to_num(-1), every[index, kept[index]].nan_to_num(-1))


def test_encoding_every_patch_equals_the_whole_backbone(dataset):
    modules = RECIPES['depth']().build().eval()
    batch = validation_batches(dataset, 2)[0]
    order = torch.stack([torch.randperm(12 * 16) for _ in range(2)])
    with torch.no_grad():
        whole = depth.encode(modules['network'], batch)[-1]
        some = depth.encode_patches(modules['network'], batch, order)
    index = order[..., None].expand(-1, -1, whole.shape[-1])
    torch.testing.assert_close(some[:, :1], whole[:, :1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(some[:, 1:], whole[:, 1:].gather(1, index), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('task', sorted(RECIPES))
def test_training_starts_from_earlier_weights(dataset, tmp_path, monkeypatch, task):
    monkeypatch.setattr(RECIPES[task], 'batch_size', 2)
    monkeypatch.setattr(RECIPES[task], 'learning_rate', 0.0)
    if RECIPES[task].muon_rate is not None:
        monkeypatch.setattr(RECIPES[task], 'muon_rate', 0.0)
    monkeypatch.setattr(RECIPES[task], 'weight_decay', 0.0)
    first = train_demo_model(task, dataset, tmp_path / 'first', steps=1)[0]
    one, other = (
        train_demo_model(
            task, dataset, tmp_path / name, steps=1, start=tmp_path / 'first', bfloat16=half
        )[0]
        for name, half in (('one', False), ('other', True))
    )
    for again in (one, other):
        found = load_file(again / 'model.safetensors')
        for name, value in load_file(first / 'model.safetensors').items():
            # Running means of the batches move on without a rate.
            if 'running' not in name and 'num_batches' not in name:
                assert torch.equal(value, found[name]), name


def test_start_weights_of_other_layers_are_rejected(dataset, tmp_path):
    with pytest.raises(WeightsMissingError, match=r'segmenter\.model: .*sam2: expected a config'):
        train_demo_model('segmenter', dataset, tmp_path / 'out', steps=1, start=tmp_path)
    tiny = write_tiny_checkpoints(tmp_path / 'tiny')['segmenter']
    tiny.rename(tmp_path / 'sam2')
    with raises(InputError, 'wrong_layers'):
        train_demo_model('segmenter', dataset, tmp_path / 'out', steps=1, start=tmp_path)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('task', sorted(RECIPES))
def test_mixed_precision_changes_the_loss_a_little(dataset, task):
    recipe = RECIPES[task]()
    torch.manual_seed(0)
    modules = recipe.build().eval()
    # In fewer scenes a single object that is assigned to another query counts more.
    batch = training_batch(dataset, 0, 6)
    losses = []
    for half in (False, True):
        torch.manual_seed(1)
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            losses.append(float(recipe.loss(modules, batch, 0.0).detach()))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_the_choice_of_proposals_is_trained(dataset):
    """The loss of transformers alone has no gradient for it."""
    recipe = RECIPES['words']()
    torch.manual_seed(0)
    modules = recipe.build()
    recipe.loss(modules, training_batch(dataset, 0, 4), 0.0).backward()
    model = modules['network'].model
    for part in (model.encoder_output_bbox_embed, model.enc_output):
        assert any(weight.grad.abs().sum() > 0 for weight in part.parameters())


def test_scenes_with_unseen_combinations_are_not_trained_on(dataset):
    batch = training_batch(dataset, 0, 6)
    unseen = UNSEEN_PHRASES[0]
    shown = batch.classes >= 0
    batch = replace(
        batch,
        classes=torch.where(shown, unseen.kind, batch.classes),
        colors=torch.where(shown, unseen.color, batch.colors),
    )
    recipe = RECIPES['words']()
    assert float(recipe.loss(recipe.build(), batch, 0.0).detach()) == 0


def test_the_tokenizer_gives_each_word_a_token(tmp_path):
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    numbers = set()
    for word in vocabulary():
        start, number, period, end = again(f'{word.upper()}.')['input_ids']
        assert (start, period, end) == (101, 1012, 102)
        assert again.decode([number]) == word
        numbers.add(number)
    assert len(numbers) == len(vocabulary())
    assert again('red elephant')['input_ids'][2] == again.unk_token_id
    text = 'gray box. red cups.'
    assert again(text)['input_ids'] == tokenizer(text)['input_ids']
    assert (
        again.decode(again(text)['input_ids'], skip_special_tokens=True).replace(' .', '.') == text
    )


def test_the_state_of_another_training_is_rejected(dataset, tmp_path):
    recipe = RECIPES['segmenter']()
    recipe.batch_size = 1
    train(recipe, dataset, tmp_path, steps=1, report_every=1)
    with raises(OutputError, 'other_content'):
        train(recipe, dataset, tmp_path, steps=2, report_every=1)
    (tmp_path / STATE).write_bytes(b'no state')
    with raises(OutputError, 'damaged'):
        train(recipe, dataset, tmp_path, steps=1, report_every=1)


def test_written_checkpoints_load(dataset, tmp_path, monkeypatch):
    frame = UploadedImage(render(40, (480, 640)).image)
    for task in RECIPES:
        monkeypatch.setattr(RECIPES[task], 'batch_size', 2)
        written = train_demo_model(task, dataset, tmp_path, steps=1)
        assert not (tmp_path / STATE).exists()
        assert CHECKPOINTS[task] == tuple(folder.name for folder in written)
        for folder in written:
            assert '40 to 60' in (folder / 'README.md').read_text()
            assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'depth_anything',
        'dinov2',
        'mm_grounding_dino',
        'rt_detr_v2',
        'sam2',
    ]
    features = build_feature_extractor(str(tmp_path / 'dinov2')).extract(frame)
    assert features.patches.shape[:2] == (8, 11)
    depth = build_depth_estimator(str(tmp_path / 'depth_anything')).estimate(frame)
    assert depth.size_hw == (480, 640)
    assert np.isfinite(depth.meters).all()
    found = build_detector(str(tmp_path / 'rt_detr_v2')).detect(
        frame, threshold=0.0, max_objects=5
    )
    assert len(found) == 5
    prompted = build_detector(str(tmp_path / 'mm_grounding_dino')).prompted(['red cup', 'ball'])
    assert len(prompted.detect(frame, threshold=0.0, max_objects=5)) == 5
    segmenter = build_segmenter(str(tmp_path / 'sam2'))
    masks = segmenter.segment(segmenter.encode(frame), found.boxes_xyxy)
    assert masks.pixels.shape == (5, 480, 640)


def test_a_checkpoint_is_not_overwritten(dataset, tmp_path):
    (tmp_path / 'sam2').mkdir()
    with raises(OutputError, 'exists'):
        train_demo_model('segmenter', dataset, tmp_path, steps=1)
    assert list((tmp_path / 'sam2').iterdir()) == []


def test_incomplete_datasets_are_rejected(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / 'copy')
    half = open_dataset(copy)
    half.rendered[3] = False
    with raises(InputError, 'incomplete'):
        train_demo_model('depth', half, tmp_path / 'out', steps=1)
    with raises(InputError, 'unknown_name'):
        train_demo_model('features', half, tmp_path / 'out', steps=1)
    assert json.loads((copy / 'about.json').read_text())['seeds'] == [40, 60]
