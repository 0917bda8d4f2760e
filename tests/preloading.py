"""Everything that a command imports while it runs, once, for all that are forked from here."""

from __future__ import annotations

import gc
import importlib
import pkgutil
from functools import cache

import typer.main
from coverage import Coverage

import karaoke
from karaoke.cli import app

#: What other packages import only when they are called.
LATER = (
    *("fontTools.ttLib.tables.otTables", "fontTools.ttLib.ttVisitor"),
    *("librosa.core.audio", "librosa.core.spectrum", "librosa.decompose", "librosa.display"),
    *("librosa.segment", "librosa.util.utils", "matplotlib.backends.backend_agg"),
    *("rich.live", "rich.markup", "rich.progress", "rich.table", "rich.traceback"),
    *("scipy.signal", "scipy.stats", "torch._dynamo", "typer._adapters"),
)

for name in (
    *(found.name for found in pkgutil.walk_packages(karaoke.__path__, "karaoke.")),
    *LATER,
):
    if not name.endswith("__main__"):
        importlib.import_module(name)
# Typer makes the same commands of the same functions each time.
typer.main.get_command = cache(typer.main.get_command)
typer.main.get_command(app)
if coverage := Coverage.current():
    coverage.save()  # of all of this, once: not once again with every process
# What is here for good need not be looked through, and so be copied, in every process.
gc.collect()
gc.freeze()
