"""Faults that a robot meets, injected into the real node and the real commands.

Each row of the catalogue has a required behavior and a pass mark; ``robot-perception bench
faults`` runs them and prints what was measured, ``bench soak`` runs the node for a long time.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robot_perception.faults.catalogue import CATALOGUE, find_faults
    from robot_perception.faults.fault import Fault
    from robot_perception.faults.outcome import Trials
    from robot_perception.faults.soak import run_soak
    from robot_perception.faults.soak_report import SoakReport

__all__ = ['CATALOGUE', 'Fault', 'SoakReport', 'Trials', 'find_faults', 'run_soak']

_MODULES = {
    'CATALOGUE': 'catalogue',
    'find_faults': 'catalogue',
    'Fault': 'fault',
    'SoakReport': 'soak_report',
    'Trials': 'outcome',
    'run_soak': 'soak',
}


def __getattr__(name: str) -> object:
    """Import a name on first use: the programs of this package must start at once."""
    from robot_perception.core import lazy_attributes  # noqa: PLC0415 - imports numpy

    return lazy_attributes(__name__, _MODULES)(name)
