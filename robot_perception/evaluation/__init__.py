"""Predictions against truth: what is right, what is wrong, and how sure one can be of it."""

from robot_perception.evaluation.bag_truth import truth_of_bag
from robot_perception.evaluation.comparison import CHECKS, compare, Comparison, Limits
from robot_perception.evaluation.evaluation import evaluate, Evaluation
from robot_perception.evaluation.examiner import Answer, check_config, Examiner
from robot_perception.evaluation.report import Report, Row
from robot_perception.evaluation.results import results_to_dict, write_results
from robot_perception.evaluation.truth import LEAST_VISIBLE_SHARE, Truth
from robot_perception.evaluation.worst import Case, WorstCases, write_worst

__all__ = [
    'CHECKS',
    'LEAST_VISIBLE_SHARE',
    'Answer',
    'Case',
    'Comparison',
    'Evaluation',
    'Examiner',
    'Limits',
    'Report',
    'Row',
    'Truth',
    'WorstCases',
    'check_config',
    'compare',
    'evaluate',
    'results_to_dict',
    'truth_of_bag',
    'write_results',
    'write_worst',
]
