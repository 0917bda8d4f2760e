"""What a page hears and sees of a song: all stems in one file, and their outlines."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from karaoke.audio import AudioReader, Block, Samples, Spool, in_blocks
from karaoke.audio.ffmpeg import encode_arguments, fed
from karaoke.audio.filtering import shifted
from karaoke.audio.layouts import speaker_names
from karaoke.errors import KaraokeError
from karaoke.files import PartFile, publish_all
from karaoke.jobs.stems import STEMS
from karaoke.jobs.task import Tools

#: Encoders of what is played, by extension: all stems are channels of one file, so that nothing
#: can drift. Opus is small, with noise 26 dB below the song; FLAC is what the stems are, rounded
#: to 16 bits, at three times the size.
PLAYERS: dict[str, dict[str, Any]] = {
    "opus": {"f": "ogg", "c:a": "libopus", "b:a": "384k", "mapping_family": 1, "ar": 48000},
    "flac": {"f": "flac", "c:a": "flac", "sample_fmt": "s16"},
}
#: Pairs of lowest and highest sample in a second of an outline: 2 kB a minute.
PEAKS_PER_SECOND = 16
#: Factor of speakers that are not in front, left or right: they are 3 dB softer in each.
CENTRE = math.sqrt(0.5)


def downmix(layout: str, channels: int) -> Block:
    """Return the factors ``(2, channels)`` that make two channels of any number of them."""
    if channels == 1:
        return np.ones((2, 1), np.float32)
    if channels == 2:
        return np.eye(2, dtype=np.float32)
    factors = np.zeros((2, channels), np.float32)
    for number, speaker in enumerate(speaker_names(layout, channels) or ["FL", "FR"]):
        side = {"L": [1, 0], "R": [0, 1]}.get(speaker[-1], [CENTRE, CENTRE])
        gain = 0.0 if speaker == "LFE" else 1.0 if speaker in ("FL", "FR") else CENTRE
        factors[:, number] = gain * np.array(side)
    # As loud as it may be without clipping where all speakers are at their loudest.
    return np.asarray(factors / max(1.0, float(factors.sum(1).max())), np.float32)


def side_by_side(stems: Iterable[Iterable[Block]], factors: Block) -> Iterator[Block]:
    """Yield the stems as channels of one sound: two for each."""
    for blocks in zip(*stems, strict=True):
        yield np.concatenate([factors @ block for block in blocks])


def write_player(
    path: Path, stems: Iterable[Iterable[Block]], *, layout: str, channels: int, sample_rate: int
) -> None:
    """Encode stems, in blocks of one length, to the file that pages play.

    Raises
    ------
    KaraokeError
        ffmpeg cannot encode it.
    """
    blocks = side_by_side(stems, downmix(layout, channels))
    arguments = encode_arguments(
        str(path),
        sample_rate=sample_rate,
        channels=2 * len(STEMS),
        options=PLAYERS[path.suffix[1:]],
    )
    place = arguments.index("-i")
    arguments[place:place] = ["-channel_layout", "quad"]
    with fed(arguments, blocks, lambda said: KaraokeError(f"the player's sound: {said}")):
        pass


def move(source: Mapping[str, Path], target: Path, semitones: float, tempo: float) -> None:
    """Write what is played of stems in another key or tempo, or in another format.

    Raises
    ------
    KaraokeError
        It cannot be made.
    """
    target.parent.mkdir(exist_ok=True)
    with ExitStack() as files:
        part = files.enter_context(PartFile(target))
        moved = []
        for stem in STEMS:
            reader = files.enter_context(AudioReader(source[stem]))
            spool = Spool(target.parent, reader.channels, files)
            for block in reader.blocks():
                spool.append(block)
            if semitones or tempo != 1:
                kind = "voice" if stem == "vocals" else "band"
                other = Spool(target.parent, reader.channels, files)
                for block in shifted(
                    in_blocks(spool.read, spool.frames),
                    sample_rate=reader.sample_rate,
                    channels=reader.channels,
                    length=spool.frames,
                    semitones=semitones,
                    tempo=tempo,
                    kind=kind,
                ):
                    other.append(block)
                spool = other
            moved.append(spool)
        write_player(
            part.path,
            [in_blocks(spool.read, spool.frames) for spool in moved],
            layout=reader.layout,
            channels=reader.channels,
            sample_rate=reader.sample_rate,
        )
        publish_all([part])


def outline(stem: Samples, sample_rate: int, tools: Tools) -> bytes:
    """Find the lowest and the highest sample of each stretch, in pairs of signed bytes."""
    length = round(sample_rate / PEAKS_PER_SECOND)
    pairs = []
    for start in range(0, stem.frames, length):
        if start % (64 * length) == 0:
            tools.check()
        block = stem.read(start, min(length, stem.frames - start))
        pairs.append((float(block.min()), float(block.max())))
    scaled = np.round(127 * np.array(pairs or [(0.0, 0.0)]))
    return np.clip(scaled, -127, 127).astype(np.int8).tobytes()


def write_peaks(path: Path, stems: Mapping[str, Samples], sample_rate: int, tools: Tools) -> None:
    """Write the outlines of stems as JSON."""
    facts = {
        "per_second": sample_rate / round(sample_rate / PEAKS_PER_SECOND),
        "seconds": max(stem.frames for stem in stems.values()) / sample_rate,
        "stems": {
            name: base64.b64encode(outline(stem, sample_rate, tools)).decode()
            for name, stem in stems.items()
        },
    }
    path.write_text(json.dumps(facts), encoding="utf-8")
