"""The workshop in `notebooks/workshop`: its exercises, checked with hints, and its quizzes."""

from interplm_nb.workshop.check import check, quiz

__all__ = ["check", "quiz"]
