"""The RLE codec against pycocotools, and everything that is not RLE."""

from contextlib import suppress

import cv2
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest
from reasons import raises

from robot_perception.core import decode_rle, encode_rle, InputError, run_lengths


def blobs(seed):
    rng = np.random.default_rng(seed)
    size_hw = tuple(int(side) for side in rng.integers(1, 300, 2))
    noise = (rng.random(size_hw) < rng.random()).astype(np.float32)
    return cv2.blur(noise, (7, 7)) > 0.5


@pytest.mark.parametrize('seed', range(12))
def test_text_equals_that_of_pycocotools(seed):
    reference = pytest.importorskip('pycocotools.mask')
    mask = blobs(seed)
    coded = reference.encode(np.asfortranarray(mask.astype(np.uint8)))['counts'].decode()
    assert encode_rle(mask) == coded
    assert np.array_equal(decode_rle(coded, mask.shape), mask)


def test_large_counts_equal_those_of_pycocotools():
    reference = pytest.importorskip('pycocotools.mask')
    mask = np.zeros((3000, 2000), np.bool_)
    mask[17, 3] = mask[2999, 1999] = mask[1500:, 1000] = True
    coded = reference.encode(np.asfortranarray(mask.astype(np.uint8)))['counts'].decode()
    assert encode_rle(mask) == coded
    assert np.array_equal(decode_rle(coded, mask.shape), mask)


def test_run_lengths_equal_the_example_of_the_documentation():
    # The example of COCO's documentation: columns first, outside first.
    mask = np.array([[0, 0, 1, 1, 1, 0, 1]], np.bool_)
    assert run_lengths(mask) == [2, 3, 1, 1]
    assert run_lengths(np.array([[1, 1, 1, 1, 1, 1, 0]], np.bool_)) == [0, 6, 1]
    assert run_lengths(np.array([[0, 1], [0, 0], [1, 1]], np.bool_)) == [2, 2, 1, 1]


@given(arrays(np.bool_, st.tuples(st.integers(0, 12), st.integers(0, 12))))
def test_decoding_inverts_encoding(mask):
    assert np.array_equal(decode_rle(encode_rle(mask), mask.shape), mask)
    assert np.array_equal(decode_rle(run_lengths(mask), mask.shape), mask)


@pytest.mark.parametrize('text', ['zzzz', '\xff\x01', 'é', 'o' * 100_000, 'o' * 9 + '0', '0 1'])
def test_broken_text_is_refused(text):
    with raises(InputError, 'broken_rle'):
        decode_rle(text, (10, 10))


@pytest.mark.parametrize(
    'counts',
    ['', '5', [], [50, 49], [50, 500], [-5, 105], [2**62, 2**62, 2**62, 2**62, 100], [10**30, 0]],
)
def test_lengths_of_another_size_are_refused(counts):
    with raises(InputError, 'wrong_size'):
        decode_rle(counts, (10, 10))


@given(st.text(max_size=40))
def test_any_text_is_decoded_or_refused(text):
    with suppress(InputError):
        assert decode_rle(text, (3, 4)).shape == (3, 4)
