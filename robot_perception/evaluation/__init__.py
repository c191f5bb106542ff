"""Predictions against truth: what is right, what is wrong, and how sure one can be of it."""

from robot_perception.evaluation.bag_truth import truth_of_bag
from robot_perception.evaluation.compare import compare, pair_by_stamp
from robot_perception.evaluation.comparison import CHECKS, Comparison, Limits
from robot_perception.evaluation.evaluation import evaluate, Evaluation
from robot_perception.evaluation.examiner import Answer, check_config, Examiner
from robot_perception.evaluation.file_frames import coco_frames, depth_frames, FileFrame
from robot_perception.evaluation.oracle import check_given, GIVEN_STAGES
from robot_perception.evaluation.page import write_page
from robot_perception.evaluation.report import Report, results_to_dict, Row, write_results
from robot_perception.evaluation.truth import LEAST_VISIBLE_SHARE, Truth
from robot_perception.evaluation.worst import Case, WorstCases, write_worst

__all__ = [
    'CHECKS',
    'GIVEN_STAGES',
    'LEAST_VISIBLE_SHARE',
    'Answer',
    'Case',
    'Comparison',
    'Evaluation',
    'Examiner',
    'FileFrame',
    'Limits',
    'Report',
    'Row',
    'Truth',
    'WorstCases',
    'check_config',
    'check_given',
    'coco_frames',
    'compare',
    'depth_frames',
    'evaluate',
    'pair_by_stamp',
    'results_to_dict',
    'truth_of_bag',
    'write_page',
    'write_results',
    'write_worst',
]
