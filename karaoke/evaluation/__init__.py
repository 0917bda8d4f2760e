"""Separate songs whose true stems are known, and measure the results.

:mod:`~karaoke.evaluation.datasets` finds the songs and :mod:`~karaoke.evaluation.songs` reads
them, :mod:`~karaoke.evaluation.methods` separates them, :mod:`~karaoke.evaluation.scoring`
compares, :mod:`~karaoke.evaluation.running` does all this for every song and keeps the figures,
and :mod:`~karaoke.evaluation.summary` and :mod:`~karaoke.evaluation.plots` show them.
"""
