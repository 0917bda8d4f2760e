"""Measure methods on the songs of a data set, keeping the results."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from karaoke.errors import KaraokeError, NoInputError, NotAudioError, PermissionDeniedError
from karaoke.evaluation.datasets import Piece
from karaoke.evaluation.methods import Method
from karaoke.evaluation.scoring import Figures, Scorer
from karaoke.evaluation.songs import load_reference
from karaoke.files import writing_to

#: Version of the figures, raised when their meaning changes.
FORMAT = 2
#: Identifies this process, which timed its figures.
RUN = uuid.uuid4().hex
#: Called with the names of the next song and method.
PieceProgress = Callable[[str, str], None]


class Journal:
    """A file of figures, one line of JSON per song and method, written as soon as they are known.

    Parameters
    ----------
    path
        Of the file; None to write nothing.
    resume
        Whether to keep what the file holds already.
    """

    def __init__(self, path: Path | None, *, resume: bool = True) -> None:
        self.path = path
        self._known: dict[str, Figures] = {}
        if path is not None and not resume:
            with writing_to(path):
                path.unlink(missing_ok=True)
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                # The last line may be incomplete; its figures are measured again.
                with suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    self._known[as_line(entry["key"])] = Figures(**entry["figures"])

    def find(self, key: dict[str, Any]) -> Figures | None:
        """Return the figures of a key, if they are known."""
        return self._known.get(as_line(key))

    def add(self, key: dict[str, Any], figures: Figures) -> None:
        """Add figures.

        Raises
        ------
        WriteError, PermissionDeniedError
            The file cannot be written.
        """
        self._known[as_line(key)] = figures
        if self.path is not None:
            line = as_line({"key": key, "figures": asdict(figures)})
            # Starts with a line break, in case the last line is incomplete.
            with writing_to(self.path), self.path.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}")
                file.flush()
                os.fsync(file.fileno())


def as_line(entry: dict[str, Any]) -> str:
    """Return an object as one line of JSON with sorted keys."""
    return json.dumps(entry, sort_keys=True, allow_nan=False)


def evaluate(
    pieces: Sequence[Piece],
    methods: Sequence[Method],
    journal: Journal,
    *,
    device: str = "cpu",
    as_mp3: bool | None = None,
    progress: PieceProgress = lambda song, method: None,
    warn: Callable[[str], None] | None = None,
) -> list[Figures]:
    """Measure every method on every song, one song in memory at a time.

    What the journal holds for the same files, mixed the same way, and the same weights is not
    measured again.

    Parameters
    ----------
    pieces, methods
        From :func:`karaoke.evaluation.datasets.find_pieces` and
        :mod:`karaoke.evaluation.methods`.
    journal
        Holds earlier figures, and gets the new ones.
    device
        Where models run, to be noted in the figures.
    as_mp3
        As for :func:`karaoke.evaluation.songs.load_reference`.
    progress
        Called before each song and method.
    warn
        Called with the reason why a song is left out, if there are others; by default, such a song
        is an error.

    Returns
    -------
    list
        Figures in the order of the songs, and for each song in that of the methods.

    Raises
    ------
    KaraokeError
        A song cannot be measured, and there is no other.
    """
    results: list[Figures] = []
    warm: set[str] = set()
    failures: list[KaraokeError] = []
    for piece in pieces:
        try:
            results += measure(piece, methods, journal, warm, device, as_mp3, progress)
        except (NoInputError, NotAudioError, PermissionDeniedError) as error:
            if warn is None or len(pieces) == 1:
                raise
            failures.append(error)
            warn(f"{error}; {piece.name} is left out")
    if failures and not results:
        raise failures[0]
    if failures and warn is not None:
        warn(f"{len(failures)} of {len(pieces)} songs left out")
    return results


def measure(
    piece: Piece,
    methods: Sequence[Method],
    journal: Journal,
    warm: set[str],
    device: str,
    as_mp3: bool | None,
    progress: PieceProgress,
) -> list[Figures]:
    """Measure every method on one song; ``warm`` names those that have run before."""
    results = []
    made = piece.made if as_mp3 is None else as_mp3
    common = {"format": FORMAT, "song": piece.name, "files": piece.fingerprint(), "mp3": made}
    scorer = None
    for method in methods:
        progress(piece.name, method.name)
        key = {**common, "method": method.name, "identity": method.identity}
        figures = journal.find(key)
        if figures is None:
            scorer = scorer or Scorer(load_reference(piece, as_mp3=as_mp3))
            if method.name not in warm:
                # Loading and compiling in the first call must not count towards a song's time.
                method.separate(scorer.song.excerpt(0, 2 * scorer.song.sample_rate))
                warm.add(method.name)
            started = time.perf_counter()
            estimates = method.separate(scorer.song)
            elapsed = time.perf_counter() - started
            figures = scorer.score(method.name, estimates)
            figures.elapsed_seconds = elapsed
            figures.run = RUN
            figures.device = device if method.parameters else "cpu"
            journal.add(key, figures)
        results.append(figures)
    return results
