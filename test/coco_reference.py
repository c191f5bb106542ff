"""Average precision by faster-coco-eval, as an independent reference."""

from faster_coco_eval import COCO, COCOeval_faster
import numpy as np

from robot_perception.evaluation.frame_matches import IOU_LIMITS, MAX_DETECTIONS
from robot_perception.evaluation.precision import DetectionMetrics

_ALL_AREAS, _MOST_DETECTIONS = 0, -1


def coco_metrics(frames, class_names):
    """Compute the metrics by COCO's evaluation, of one frame and one class at least.

    Objects that do not count are its crowds.
    """
    images = [{'id': number} for number in range(len(frames))]
    categories = [{'id': number, 'name': name} for number, name in enumerate(class_names)]
    table = {'images': images, 'categories': categories}
    ids = {name: number for number, name in enumerate(class_names)}
    truth = []
    predictions = []
    for number, one in enumerate(frames):
        crowds = (~one.counted).astype(int).tolist()
        for item, crowd in zip(_annotations(one.truth, number, ids), crowds, strict=True):
            truth.append({**item, 'id': len(truth) + 1, 'iscrowd': crowd})
        scores = one.predictions.scores.tolist()
        for item, score in zip(_annotations(one.predictions, number, ids), scores, strict=True):
            if item['category_id'] >= 0:
                predictions.append(
                    {**item, 'id': len(predictions) + 1, 'iscrowd': 0, 'score': score}
                )
    run = COCOeval_faster(
        COCO({**table, 'annotations': truth}), COCO({**table, 'annotations': predictions}), 'bbox'
    )
    run.params.maxDets = [MAX_DETECTIONS]
    run.params.iouThrs = np.array(IOU_LIMITS)
    run.evaluate()
    run.accumulate()
    precision = np.asarray(run.eval['precision'])[..., _ALL_AREAS, _MOST_DETECTIONS]
    recall = np.asarray(run.eval['recall'])[..., _ALL_AREAS, _MOST_DETECTIONS]
    return DetectionMetrics.of(_missing_to_nan(precision), _missing_to_nan(recall))


def _annotations(objects, image, ids):
    """Return COCO annotations; category -1 is a class that is not evaluated."""
    corners = objects.boxes_xyxy.astype(np.float64)
    sides = corners[:, 2:] - corners[:, :2]
    boxes = np.concatenate([corners[:, :2], sides], axis=1)
    return [
        {'image_id': image, 'category_id': ids.get(name, -1), 'bbox': box, 'area': box[2] * box[3]}
        for name, box in zip(objects.class_names, boxes.tolist(), strict=True)
    ]


def _missing_to_nan(values):
    """Replace COCO's -1 by NaN."""
    return np.where(values < 0, np.nan, values)
