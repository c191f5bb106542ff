"""Metrics of predictions against ground truth, with confidence intervals, and their reports."""

from robot_perception.evaluation.bag_ground_truth import read_bag_ground_truth
from robot_perception.evaluation.baseline import Baseline, read_baseline
from robot_perception.evaluation.calibration_fit import (
    CalibrationFit,
    fit_location_error,
    fit_scores,
    FittedCalibration,
)
from robot_perception.evaluation.coco_frames import coco_frames
from robot_perception.evaluation.compare import compare, pair_by_stamp, PairedFrames
from robot_perception.evaluation.comparison import CHECKS, Comparison, Limits
from robot_perception.evaluation.depth_frames import depth_frames
from robot_perception.evaluation.evaluation import evaluate, Evaluation, PredictedFrame
from robot_perception.evaluation.evaluation_pipeline import EvaluationPipeline
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.ground_truth_stages import check_given, GIVEN_STAGES
from robot_perception.evaluation.hardest_frames import (
    align_truth,
    EvaluatedFrame,
    HardestFrames,
    write_hardest_frames,
)
from robot_perception.evaluation.page import write_page
from robot_perception.evaluation.position_uncertainty import squared_errors
from robot_perception.evaluation.recordings import recordings_table
from robot_perception.evaluation.report import (
    MetricRow,
    NeesHistogram,
    ReliabilityBin,
    Report,
    results_to_dict,
    write_results,
)
from robot_perception.evaluation.runtime_accuracy import AccuracyDifference, compare_accuracy
from robot_perception.evaluation.sample_report import evaluate_samples, SampleReport
from robot_perception.evaluation.samples import (
    NamedBox,
    Prediction,
    read_predictions,
    read_samples,
    Sample,
)
from robot_perception.evaluation.score_reliability import (
    expected_calibration_error,
    reliability_bins,
)
from robot_perception.evaluation.semantic_counts import Segment, SegmentImage
from robot_perception.evaluation.semantic_frames import (
    class_frames,
    CLASS_NAMES,
    is_panoptic,
    panoptic_frames,
    SemanticFrame,
)
from robot_perception.evaluation.semantic_report import report_semantics

__all__ = [
    'CHECKS',
    'CLASS_NAMES',
    'GIVEN_STAGES',
    'AccuracyDifference',
    'Baseline',
    'CalibrationFit',
    'Comparison',
    'EvaluatedFrame',
    'Evaluation',
    'EvaluationPipeline',
    'FittedCalibration',
    'GroundTruth',
    'HardestFrames',
    'Limits',
    'MetricRow',
    'NamedBox',
    'NeesHistogram',
    'PairedFrames',
    'PredictedFrame',
    'Prediction',
    'ReliabilityBin',
    'Report',
    'Sample',
    'SampleReport',
    'Segment',
    'SegmentImage',
    'SemanticFrame',
    'align_truth',
    'check_given',
    'class_frames',
    'coco_frames',
    'compare',
    'compare_accuracy',
    'depth_frames',
    'evaluate',
    'evaluate_samples',
    'expected_calibration_error',
    'fit_location_error',
    'fit_scores',
    'is_panoptic',
    'pair_by_stamp',
    'panoptic_frames',
    'read_bag_ground_truth',
    'read_baseline',
    'read_predictions',
    'read_samples',
    'recordings_table',
    'reliability_bins',
    'report_semantics',
    'results_to_dict',
    'squared_errors',
    'write_hardest_frames',
    'write_page',
    'write_results',
]
