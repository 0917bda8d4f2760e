"""What a speech recogniser says about when known words are sung: ``pocketsphinx``, for English.

It was made for speech. On a singer it often loses its way, and then says nothing or something
else; so it is asked about short stretches, and what it says is an opinion among other evidence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np

from karaoke.analysis.levels import Curve
from karaoke.errors import UnavailableError

#: In Hz, of what it hears.
SAMPLE_RATE = 16_000
FRAMES_PER_SECOND = 100
#: Wide beams, since singing differs so much from what it knows; and a coarser scale of
#: probabilities, since on that of speech those of long notes overflow, and it gives up.
SETTINGS = {"beam": 1e-150, "pbeam": 1e-150, "wbeam": 1e-150, "logbase": 1.0005}
LOUD = 0.7
#: Letters to sounds, for words that are in no dictionary; the longest spelling first.
SOUNDS = {
    "tch": "CH", "sch": "SH", "igh": "AY", "ch": "CH", "sh": "SH", "th": "TH", "ph": "F",
    "ck": "K", "ng": "NG", "qu": "K W", "wh": "W", "gh": "G", "ee": "IY", "ea": "IY", "oo": "UW",
    "ou": "AW", "ow": "OW", "ai": "EY", "ay": "EY", "oi": "OY", "oy": "OY", "au": "AO", "aw": "AO",
    "ie": "IY", "ei": "EY", "ar": "AA R", "er": "ER", "ir": "ER", "or": "AO R", "ur": "ER",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH",
    "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "o": "OW", "p": "P", "q": "K", "r": "R",
    "s": "S", "t": "T", "u": "AH", "v": "V", "w": "W", "x": "K S", "y": "IY", "z": "Z",
}  # fmt: skip
SPELLING = re.compile("|".join(SOUNDS))


def available(language: str) -> bool:
    """Tell whether there is a recogniser for a language here."""
    return language in ("", "en") and find_spec("pocketsphinx") is not None


def recogniser_version() -> str:
    """Give the version of the recogniser that is installed; empty if none is."""
    try:
        return version("pocketsphinx")
    except PackageNotFoundError:
        return ""


def spoken(word: str) -> str:
    """Write a word as dictionaries do: letters and apostrophes, in lower case."""
    plain = unicodedata.normalize("NFKD", word.replace("\u2019", "'")).lower()
    return re.sub(r"[^a-z']", "", plain).strip("'")


def sounds(word: str) -> str:
    """Guess how a word is spoken that is in no dictionary."""
    return " ".join(
        SOUNDS[found] for found in SPELLING.findall(re.sub(r"([^aeiou])\1", r"\1", word))
    )


class Recogniser:
    """An aligner of words to sound, ready for use.

    Raises
    ------
    UnavailableError
        It is not installed.
    """

    def __init__(self) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise UnavailableError(
                "pocketsphinx is not installed", hint="pip install 'karaoke[align]'"
            ) from error
        self._decoder: Any = Decoder(lm=None, loglevel="FATAL", **SETTINGS)

    def known_share(self, words: Sequence[str]) -> float:
        """Tell how many of some words are English, from 0 to 1."""
        known = [self._decoder.lookup_word(text) is not None for text in map(spoken, words) if text]
        return sum(known) / len(known) if known else 0.0

    def hear(self, sound: Curve, words: Sequence[str]) -> list[float | None]:
        """Say when each word begins.

        Parameters
        ----------
        sound
            ``(samples,)`` at 16 kHz, with these words and no others.
        words
            In order.

        Returns
        -------
        list
            Seconds from the beginning of the sound, one for each word; all None where it finds no
            way through them, and None for what has no letters.
        """
        said = [spoken(word) for word in words]
        texts = [text for text in said if text]
        nothing: list[float | None] = [None] * len(words)
        peak = float(np.abs(sound).max(initial=0.0))
        if not texts or peak == 0:
            return nothing
        for text in texts:
            if self._decoder.lookup_word(text) is None:
                self._decoder.add_word(text, sounds(text) or "AH", True)
        samples = (sound / peak * LOUD * 32767).astype("<i2").tobytes()
        self._decoder.set_align_text(" ".join(texts))
        self._decoder.start_utt()
        self._decoder.process_raw(samples, full_utt=True)
        self._decoder.end_utt()
        if self._decoder.hyp() is None:
            return nothing
        found = [s.start_frame for s in self._decoder.seg() if s.word[0] not in "<["]
        if len(found) != len(texts):
            return nothing
        left = iter(found)
        return [next(left) / FRAMES_PER_SECOND if text else None for text in said]
