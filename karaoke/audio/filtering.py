"""Sound through a filter of ffmpeg, as it comes: key, tempo and loudness."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from karaoke.audio.blocks import BLOCK_LENGTH, Block, from_interleaved
from karaoke.audio.ffmpeg import INSTALL, built_with, fed, filter_arguments, find_ffmpeg
from karaoke.errors import KaraokeError, ToolMissingError

#: What of rubberband suits which stem. Its default is up to 30 cents out of tune on steady tones:
#: ``mixed`` keeps a band's attacks, and with a long window single tones are within 2 cents, else
#: within 13; ``smooth`` is exact and blurs drums, which a voice has none of.
SHIFTS = {"band": "transients=mixed:window=long", "voice": "transients=smooth:formant=preserved"}
#: Sounds that show how late a shifted stem is, about so many seconds apart.
PROBES, APART_SECONDS = 16, 0.25
#: Within it a sound's loudness is one.
OUTLINE_SECONDS = 0.004


def require_filter(name: str, kind: str = "filter") -> None:
    """Refuse an ffmpeg that was built without a filter, or another kind of part.

    Raises
    ------
    ToolMissingError
        It was.
    """
    if name not in built_with(find_ffmpeg(), f"{kind}s"):
        raise ToolMissingError(f"ffmpeg has no {kind} {name}", hint=INSTALL)


def filtered(
    blocks: Iterable[Block], *, sample_rate: int, channels: int, filters: str
) -> Iterator[Block]:
    """Send blocks through filters, and yield what comes out.

    Parameters
    ----------
    blocks
        float32 ``(channels, samples)``; they are asked for in a thread.
    sample_rate, channels
        Of the blocks and of what comes out.
    filters
        In ffmpeg's words.

    Raises
    ------
    KaraokeError
        The filter failed; or whatever asking for the blocks raises.
    """
    arguments = filter_arguments(filters, sample_rate=sample_rate, channels=channels, muxer="f32le")
    with fed(arguments, blocks, failure_of(filters), stdout=True) as process:
        while data := process.stdout.read(BLOCK_LENGTH * 4 * channels):
            yield from_interleaved(data, channels)


def failure_of(filters: str) -> Callable[[str], KaraokeError]:
    """Return what makes an error from a filter's complaint."""
    name = re.split("[=,]", filters)[0]
    return lambda said: KaraokeError(f"{name}: {said}", hint=INSTALL)


def rubberband(semitones: float, tempo: float, kind: str) -> str:
    """Write the filter that changes key and tempo."""
    return f"rubberband=pitch={2 ** (semitones / 12):.9f}:tempo={tempo:.9f}:{SHIFTS[kind]}"


@lru_cache(maxsize=64)
def lateness(sample_rate: int, semitones: float, tempo: float, kind: str) -> int:
    """Measure by how many samples the filter is late, or early: less than zero.

    It depends on the settings, and is up to 100 ms. Each kind is measured by what it is made of:
    the filter smears a click in a voice so much that its start tells nothing.
    """
    probe, places = probe_of(kind, sample_rate)
    through = filtered([probe[None]], sample_rate=sample_rate, channels=1,
                       filters=rubberband(semitones, tempo, kind))  # fmt: skip
    sound = np.concatenate(list(through), axis=1)[0]
    if kind == "band":
        reach = round(0.375 * APART_SECONDS * sample_rate / tempo)
        around = [
            np.abs(sound[at - reach : at + reach]) for at in np.round(places / tempo).astype(int)
        ]
        starts = [int(np.argmax(level > 0.5 * level.max())) - reach for level in around]
        return round(float(np.median(starts)))
    heard = outline(sound, sample_rate)
    meant = np.interp(
        np.arange(len(heard)) * tempo, np.arange(len(probe)), outline(probe, sample_rate)
    )
    length = 1 << (2 * len(heard)).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(heard, length) * np.fft.rfft(meant, length).conj())
    late = int(np.argmax(likeness))
    return late if late < length // 2 else late - length


def probe_of(kind: str, sample_rate: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Make a row of a band's clicks or a voice's notes, and tell where they begin."""
    rng = np.random.default_rng(0)
    step = round(APART_SECONDS * sample_rate)
    t = np.arange(step // 2) / sample_rate
    # Not quite silent in between: there the filter would begin anew.
    probe = 1e-5 * rng.standard_normal((PROBES + 1) * step)
    places = step * np.arange(1, PROBES) + rng.integers(0, step // 4, PROBES - 1)
    for place in places:
        if kind == "band":
            sound = rng.standard_normal(len(t)) * np.exp(-t / 0.002)
        else:
            hz = rng.uniform(110, 440)
            partials = np.arange(1, round(4000 / hz))[:, None]
            waves = np.cos(2 * np.pi * (partials * hz * t + rng.random(partials.shape)))
            sound = (waves / partials).sum(axis=0) * np.minimum(t / 0.02, np.exp(-t / 0.1))
        probe[place : place + len(t)] += 0.5 * sound / np.abs(sound).max()
    return probe.astype(np.float32), places


def outline(sound: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Tell how loud a sound is at each sample, less than it is on average."""
    window = np.hanning(round(2 * OUTLINE_SECONDS * sample_rate))
    level = np.sqrt(np.convolve(sound.astype(np.float64) ** 2, window, "same"))
    return np.asarray(level - level.mean())


def shifted(
    blocks: Iterable[Block],
    *,
    sample_rate: int,
    channels: int,
    length: int,
    semitones: float,
    tempo: float,
    kind: str,
) -> Iterator[Block]:
    """Change the key and the tempo of a stream, in time to a millisecond or two.

    Parameters
    ----------
    blocks
        float32 ``(channels, samples)``.
    sample_rate, channels, length
        Of the blocks; ``length`` samples in all.
    semitones
        Up, or down if less than zero.
    tempo
        2 is twice as fast.
    kind
        A key of :data:`SHIFTS`: ``band`` or ``voice``.

    Yields
    ------
    ndarray
        ``round(length / tempo)`` samples in all.

    Raises
    ------
    ToolMissingError
        This ffmpeg has no rubberband.
    """
    require_filter("rubberband")
    late = lateness(sample_rate, semitones, tempo, kind)
    # Silence follows, so that what is late comes out as well.
    tail = np.zeros((channels, max(late, 0) + sample_rate // 10), np.float32)
    through = filtered(
        chain(blocks, [tail]),
        sample_rate=sample_rate,
        channels=channels,
        filters=rubberband(semitones, tempo, kind),
    )
    if late < 0:
        through = chain([np.zeros((channels, -late), np.float32)], through)
    skip, left = max(late, 0), round(length / tempo)
    for block in through:
        part = block[:, skip : skip + left]
        skip, left = max(skip - block.shape[1], 0), left - part.shape[1]
        if part.shape[1]:
            yield part
    if left:
        yield np.zeros((channels, left), np.float32)


@dataclass(frozen=True)
class Loudness:
    """How loud a sound is, by ITU-R BS.1770.

    Parameters
    ----------
    integrated_lufs
        Of all of it; -inf where it is too soft or too short to tell.
    true_peak_db
        Between the samples, too, in dBTP.
    """

    integrated_lufs: float
    true_peak_db: float


def measure_loudness(blocks: Iterable[Block], *, sample_rate: int, channels: int) -> Loudness:
    """Measure how loud a stream is.

    Raises
    ------
    ToolMissingError
        This ffmpeg has no ebur128.
    """
    require_filter("ebur128")
    meter = "ebur128=metadata=1:peak=true:framelog=quiet,ametadata=print:file=-"
    arguments = filter_arguments(meter, sample_rate=sample_rate, channels=channels, muxer="null")
    found = {"I": -math.inf, "peak": -math.inf}
    with fed(arguments, blocks, failure_of(meter), stdout=True) as process:
        for line in process.stdout:
            said = re.match(rb"lavfi\.r128\.(I|true_peaks_ch\d+)=(\S+)", line)
            if said and said[1] == b"I":
                found["I"] = float(said[2])
            elif said:
                found["peak"] = max(found["peak"], float(said[2]))
    peak = 20 * math.log10(found["peak"]) if found["peak"] > 0 else -math.inf
    return Loudness(found["I"] if found["I"] > -70 else -math.inf, peak)
