"""Florence-2 as a detector, compared with transformers, and what it may write."""

import json
import re

import numpy as np
import pytest
from reasons import raises
from tiny_describers import write_florence2_detector
import torch
import transformers

from robot_perception.core import ConfigError, Image, ModelError
from robot_perception.models import build_detector, find_checkpoint, UploadedImage
from robot_perception.models.families.florence2_detector import Florence2Detector

SIZE_HW = (60, 80)
OPEN, PHRASES = '<OPEN_VOCABULARY_DETECTION>', '<CAPTION_TO_PHRASE_GROUNDING>'
# Of the checkpoint, whose texts are cut there.
LENGTH = 96
ANSWERS = {
    'description_with_bboxes': {},
    'description_with_bboxes_or_polygons': {},
    'phrase_grounding': {'banned_grounding_tokens': ['it']},
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = write_florence2_detector(tmp_path_factory.mktemp('florence2') / 'net', LENGTH)
    path = folder / 'processor_config.json'
    settings = {**json.loads(path.read_text()), 'post_processor_config': ANSWERS}
    path.write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope='module')
def detector(folder):
    return build_detector(str(folder), device='cpu')


@pytest.fixture(scope='module')
def family(folder):
    return Florence2Detector(find_checkpoint(str(folder), 'detector'), torch.float32)


@pytest.fixture(scope='module')
def processor(folder):
    """The processor of transformers."""
    words = transformers.AutoTokenizer.from_pretrained(folder)
    images = transformers.CLIPImageProcessorPil.from_pretrained(folder)
    images.image_seq_length = 2
    return transformers.Florence2Processor(images, words, post_processor_config=ANSWERS)


def picture():
    rng = np.random.default_rng(7)
    return Image(rng.integers(0, 255, (*SIZE_HW, 3), dtype=np.uint8))


def detect(detector, *prompts, threshold=0.0, max_objects=1000):
    return detector.prompted(prompts).detect(
        UploadedImage(picture()), threshold=threshold, max_objects=max_objects
    )


def reference(folder, processor, question):
    """Return name, box and score of the objects that transformers generates, best first."""
    task = re.match('<[A-Z_]+>', question)[0]
    inputs = processor(images=np.array(picture().rgb), text=question, return_tensors='pt')
    network = transformers.Florence2ForConditionalGeneration.from_pretrained(folder).eval()
    found = network.generate(
        **inputs,
        do_sample=False,
        num_beams=1,
        max_new_tokens=LENGTH,
        output_scores=True,
        return_dict_in_generate=True,
    )
    tokens = found.sequences[0, 1:]
    logs = network.compute_transition_scores(found.sequences, found.scores, normalize_logits=True)[
        0
    ].numpy()
    text = processor.tokenizer.decode(tokens, skip_special_tokens=False)
    result = processor.post_process_generation(text=text, task=task, image_size=SIZE_HW[::-1])
    boxes = result[task]['bboxes']
    labels = result[task]['labels' if 'labels' in result[task] else 'bboxes_labels']
    # Runs of at least four, in fours.
    written = processor.tokenizer.convert_ids_to_tokens(tokens.tolist())
    is_location = [bool(re.fullmatch(r'<loc_\d+>', one)) for one in written]
    scores, run = [], []
    for index, location in enumerate([*is_location, False]):
        if location:
            run.append(index)
        else:
            fours = len(run) // 4 if run and run[0] and any(written[: run[0]]) else 0
            scores += [np.exp(logs[run[4 * one : 4 * one + 4]].mean()) for one in range(fours)]
            run = []
    assert len(scores) == len(boxes) > 2
    rows = [row for row in zip(labels, boxes, scores, strict=True) if is_object(row[1])]
    return sorted(rows, key=lambda row: -row[2])


def word(label):
    """Return a label of transformers without the end of a special token before it."""
    return label.rpartition('>')[2]


def is_object(box):
    left, top, right, bottom = box
    return left < right and top < bottom


@pytest.mark.parametrize(
    ('prompts', 'question'),
    [
        ((), '<OD>'),
        (('red cup',), f'{OPEN}red cup'),
        ((f'{PHRASES}a cup on a table',), f'{PHRASES}a cup on a table'),
    ],
)
def test_equals_transformers(folder, detector, processor, prompts, question):
    expected = reference(folder, processor, question)
    found = detect(detector, *prompts)
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.boxes_xyxy, [box for _, box, _ in expected], atol=1e-3)
    np.testing.assert_allclose(found.scores, [score for *_, score in expected], rtol=1e-4)
    if question.startswith(OPEN):
        assert set(found.class_names) == {'red cup'}
    else:
        assert list(found.class_names) == [word(label) for label, *_ in expected]


def test_prompts_are_written_together_as_alone(folder, detector):
    texts = []
    prompts = ('red cup', 'a very large wooden chair', 'ball')
    together = detect(detector, *prompts)
    assert set(together.class_names) == set(prompts)
    for name in prompts:
        alone = detect(detector, name)
        chosen = together[[one == name for one in together.class_names]]
        np.testing.assert_allclose(chosen.boxes_xyxy, alone.boxes_xyxy)
        np.testing.assert_allclose(chosen.scores, alone.scores, rtol=1e-4)
        texts.append(len(alone))
    assert sum(texts) == len(together)


@pytest.fixture
def read(family, processor):
    """Return a function that reads the objects of tokens, and what transformers reads."""

    def objects(tokens, prompt=''):
        (query,) = family.queries((prompt,) if prompt else ())
        found = list(family.read_objects(tokens, [0.5] * len(tokens), query, SIZE_HW))
        text = processor.tokenizer.decode(tokens, skip_special_tokens=False)
        result = processor.post_process_generation(
            text=text, task=query.task, image_size=SIZE_HW[::-1]
        )[query.task]
        labels = result['labels' if 'labels' in result else 'bboxes_labels']
        rows = zip(map(word, labels), result['bboxes'], strict=True)
        return [(one.name, list(one.box_xyxy)) for one in found], [row for row in rows if row[0]]

    return objects


@pytest.mark.parametrize('prompt', ['', f'{PHRASES}a cup'])
def test_any_tokens_are_read_as_by_transformers(read, processor, prompt):
    rng = np.random.default_rng(0)
    words = [processor.tokenizer.convert_tokens_to_ids(one) for one in ('a', 'b', 'c', '<pad>')]
    locations = processor.tokenizer.convert_tokens_to_ids(
        [f'<loc_{step}>' for step in range(1000)]
    )
    lengths = []
    for _ in range(40):
        tokens = []
        for _ in range(rng.integers(0, 8)):
            tokens += rng.choice(words, rng.integers(0, 4)).tolist()
            tokens += rng.choice(locations, rng.integers(0, 10)).tolist()
        found, expected = read(tokens, prompt)
        assert found == [(name, [float(side) for side in box]) for name, box in expected]
        lengths.append(len(found))
    assert max(lengths) > 3
    assert min(lengths) == 0


@pytest.mark.parametrize(
    ('written', 'prompt', 'names'),
    [
        ('cup<loc_1><loc_2><loc_3><loc_4>', '', ['cup']),
        ('cup<loc_1><loc_2><loc_3>', '', []),
        ('<loc_1><loc_2><loc_3><loc_4>', '', []),
        ('cup<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6>', '', ['cup']),
        ('cup<poly><loc_1><loc_2><loc_3><loc_4><loc_5><loc_6></poly>', 'cup', []),
        ('it<loc_1><loc_2><loc_3><loc_4>', f'{PHRASES}it', []),
        ('чаша<loc_1><loc_2><loc_3><loc_4>', '', ['чаша']),
        ('Red cup!<loc_1><loc_2><loc_3><loc_4>', 'red cup', ['red cup']),
        ('', '', []),
    ],
)
def test_what_is_written(family, processor, written, prompt, names):
    tokens = processor.tokenizer(written, add_special_tokens=False)['input_ids']
    (query,) = family.queries((prompt,) if prompt else ())
    found = family.read_objects([0, *tokens, 2], [1.0] * (len(tokens) + 2), query, SIZE_HW)
    assert [one.name for one in found] == names


def test_scores_are_of_the_places_alone(family, processor):
    tokens = processor.tokenizer('ab<loc_1><loc_2><loc_3><loc_4>', add_special_tokens=False)
    tokens = tokens['input_ids']
    probabilities = [*[1.0] * (len(tokens) - 4), 0.5, 0.5, 0.125, 0.0]
    (found,) = family.read_objects(tokens, probabilities, family.queries(())[0], SIZE_HW)
    assert 0 <= found.score < 1e-6
    probabilities[-1] = 0.125
    (found,) = family.read_objects(tokens, probabilities, family.queries(())[0], SIZE_HW)
    assert found.score == pytest.approx(0.25)


def test_names_are_numbered_as_they_come(folder):
    detector = build_detector(str(folder), device='cpu')
    assert detector.class_names == ()
    found = detect(detector)
    names = detector.class_names
    assert [names[index] for index in found.class_ids] == list(found.class_names)
    assert len(set(map(str.casefold, names))) == len(names) > 1
    detector.number(['cup'])
    assert detect(detector).class_ids.tolist() == found.class_ids.tolist()
    assert detector.class_names == (*names, 'cup')
    assert len(detect(detector, threshold=float(np.median(found.scores)))) < len(found)
    detector.reset_prompts()
    # No stream of nonsense fills the memory.
    detector.number([f'other {index}' for index in range(1000)])
    assert len(detect(detector)) == 0
    assert 'has written 1000 different names' in detector.note
    # Prompts may be what no written name is.
    tabbed = 'red\tcup'
    assert set(detect(detector, tabbed).class_names) == {tabbed}
    assert detector.note == ''


@pytest.mark.parametrize(
    ('prompts', 'reason', 'message'),
    [
        (('x ' * 5000,), 'prompt_too_long', 'at most 96 tokens together with the image'),
        ((' ',), 'empty_prompt', 'expected words'),
        ([f'cup {index}' for index in range(500)], 'too_many_prompts', 'at most 64'),
        (('a cup</s>',), 'reserved_word', "got '</s>'"),
        (('<CAPTION>',), 'wrong_task', 'expected words, <OD>'),
        (('<DANCE>cup',), 'wrong_task', 'got .<DANCE>cup'),
        (('<OD>cup',), 'wrong_task', 'got .<OD>cup'),
        ((PHRASES,), 'wrong_task', 'with a text behind it'),
        (('cup <OD>',), 'wrong_task', 'got .cup <OD>'),
    ],
)
def test_prompts_that_cannot_be_used(detector, prompts, reason, message):
    before = detector.class_names
    with raises(ConfigError, reason, message):
        detector.prompted(prompts)
    assert detector.class_names == before


@pytest.mark.parametrize('prompt', ['чаша', 'いくつ', '🙂', '<loc_5>', 'a < b > c'])
def test_any_words_are_a_prompt(family, prompt):
    (query,) = family.queries((prompt,))
    assert query.name == prompt


def test_a_tokenizer_without_locations(folder, tmp_path):
    other = tmp_path / 'net'
    other.mkdir()
    for file in folder.iterdir():
        content = file.read_bytes().replace(b'<loc_999>', b'<lok_999>')
        (other / file.name).write_bytes(content if file.suffix == '.json' else file.read_bytes())
    with raises(ModelError, 'no_locations', '<loc_0> to <loc_999>'):
        build_detector(str(other), device='cpu')


def test_options(folder):
    with raises(ConfigError, 'out_of_range', 'input_size: expected 0'):
        build_detector(str(folder), device='cpu', input_size=640)
    detector = build_detector(str(folder), device='cpu', runtime='openvino')
    assert 'computed with torch' in detector.note
    assert detector.backend == 'torch fp32'
