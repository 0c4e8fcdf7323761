"""The classifier behind the purifier, as one attacker sees it."""

from bench.defended.checks import LEAVE_X, check_differentiable
from bench.defended.chunks import VOTING_ROWS, Objective
from bench.defended.view import DefendedClassifier

__all__ = ["LEAVE_X", "VOTING_ROWS", "DefendedClassifier", "Objective", "check_differentiable"]
