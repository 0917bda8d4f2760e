"""Separate songs whose true stems are known, and measure what comes out.

:mod:`~karaoke.evaluation.datasets` finds the songs and :mod:`~karaoke.evaluation.songs` reads
them, :mod:`~karaoke.evaluation.methods` separates them, :mod:`~karaoke.evaluation.scoring`
compares, :mod:`~karaoke.evaluation.running` does so for all of them and keeps the figures,
:mod:`~karaoke.evaluation.summary` and :mod:`~karaoke.evaluation.plots` show them.
"""
