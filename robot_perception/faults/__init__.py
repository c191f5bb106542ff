"""Faults that a robot meets, injected into the real node and the real commands.

Each row of the catalogue has a required behavior and a pass mark; ``robot-perception bench
faults`` runs them and prints what was measured.
"""

from robot_perception.faults.catalogue import CATALOGUE, Fault, find_faults
from robot_perception.faults.outcome import FaultOutcome

__all__ = ['CATALOGUE', 'Fault', 'FaultOutcome', 'find_faults']
