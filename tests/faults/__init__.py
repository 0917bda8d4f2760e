"""Faults that are injected for real, each with what karaoke promises about it.

``python -m tests.faults`` runs all of them and prints a line of totals; the test suite runs the
quick ones.
"""
