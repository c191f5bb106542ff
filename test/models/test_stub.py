import numpy as np
import pytest

from robot_perception.core import Image
from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
    UploadedImage,
)


def plain(color, height=48, width=64):
    return UploadedImage(Image(np.full((height, width, 3), color, np.uint8)))


def test_features_are_means_and_standard_deviations_of_the_colors():
    features = build_feature_extractor('stub').extract(plain((0, 51, 255)))
    assert (features.model, features.grid_hw) == ('stub', (12, 16))
    np.testing.assert_allclose(features.vector, [0, 0.2, 1, 0, 0, 0], atol=1e-6)


def test_depth_falls_from_5_m_at_the_top_to_1_m_at_the_bottom_and_grows_with_brightness():
    dark, bright = (
        build_depth_estimator('stub').estimate(plain(value)).meters for value in (0, 255)
    )
    np.testing.assert_allclose(dark[:, 0], np.linspace(5, 1, 48), rtol=1e-6)
    np.testing.assert_allclose(bright - dark, 0.5, atol=1e-6)


def test_boxes_above_the_threshold_are_returned_best_first():
    detector = build_detector('stub')
    found = detector.detect(plain((9, 200, 9)), threshold=0.7, max_objects=9)
    assert found.scores.tolist() == pytest.approx([0.9, 0.8])
    assert found.class_names == ('stub green', 'stub blue')
    assert [detector.class_names[i] for i in found.class_ids] == list(found.class_names)
    assert len(detector.detect(plain(0), threshold=0.0, max_objects=1)) == 1
    assert len(detector.detect(plain(0), threshold=0.9, max_objects=9)) == 0


def test_boxes_move_with_the_color():
    dark, bright = (
        build_detector('stub').detect(plain(value), threshold=0.0, max_objects=9).boxes_xyxy
        for value in (0, 255)
    )
    np.testing.assert_allclose(bright - dark, [[6.4, 4.8, 6.4, 4.8]] * 3, atol=1e-4)


def test_masks_are_ellipses_inside_their_boxes():
    box = np.array([[10, 20, 30, 30], [-50, -50, -5, -5]], np.float32)
    segmenter = build_segmenter('stub')
    masks = segmenter.segment(segmenter.encode(plain(0)), box)
    rows, columns = np.nonzero(masks.pixels[0])
    assert (columns.min(), columns.max() + 1) == (10, 30)
    assert (rows.min(), rows.max() + 1) == (20, 30)
    assert masks.pixels[0].sum() == pytest.approx(np.pi * 10 * 5, rel=0.05)
    assert not masks.pixels[1].any()
