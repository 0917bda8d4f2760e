"""Traits of recordings, measured once: band, pitch and whether it moves, harmony and beats.

Some of them may be stated in a manifest (``band_hz``, ``moves_in_pitch``); the others make a voice
sing in tune and in time with music. They are kept beside the decoded samples, in
``NAME.traits.npz``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import soxr
from numpy.typing import NDArray

from karaoke.analysis.peaks import peak_offset
from karaoke.files import PartFile, writing_to
from karaoke.training.spectra import irfft, rfft, windowed

#: Band of a recording that has everything up to half of 44.1 kHz.
FULL_BAND_HZ = 22050.0
#: A recording that reaches this has the full band: what coders cut above is not audible.
FULL_FROM_HZ = 15000.0
#: Stems that a teacher estimated are worth learning from up to here.
ESTIMATED_BAND_HZ = 11000.0
#: Frames per second of the pitch and of the chroma.
PITCH_RATE, CHROMA_RATE = 50, 10
CHROMA_STEP_DB = 0.375
#: Recordings whose file has another version are measured again.
VERSION = 1

#: Rate in Hz at which pitch, harmony and beats are measured.
SLOW_RATE = 11025
#: Frames per second in which beats are searched for.
ONSET_RATE = 86
#: Lowest and highest pitch in Hz that are searched for.
PITCH_RANGE_HZ = (65.0, 1100.0)
#: Smallest spread of pitch within two seconds of a voice that moves; voicebanks have up to 1.
MOVING_SEMITONES = 1.35


def nothing() -> NDArray[Any]:
    """Return the empty array that stands for what was not measured."""
    return np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Traits:
    """What was measured of a recording.

    Parameters
    ----------
    band_hz
        Highest frequency that it contains; ``FULL_BAND_HZ`` if that is not limited.
    moves
        Whether it is a voice that moves in pitch by itself.
    pitch
        For a voice, the pitch in MIDI semitones, ``PITCH_RATE`` times per second: ``(frames,)``,
        NaN where it is unvoiced. Empty for music.
    chroma
        For music, the levels of the twelve pitch classes from C up, ``CHROMA_RATE`` times per
        second: uint8 ``(12, frames)``, in steps of ``CHROMA_STEP_DB``; 255 is a full-scale sine.
        Empty for voices.
    tuning
        How many semitones its notes lie above those tuned to A = 440 Hz, in [-0.5, 0.5].
    beats
        For music, the times of the beats in seconds: ``(beats,)``. Empty if there are none.
    """

    band_hz: float = FULL_BAND_HZ
    moves: bool = False
    pitch: NDArray[Any] = field(default_factory=nothing)
    chroma: NDArray[Any] = field(default_factory=nothing)
    tuning: float = 0.0
    beats: NDArray[Any] = field(default_factory=nothing)

    def stated(self, row: Mapping[str, str]) -> Traits:
        """Replace those traits that a row of a manifest states."""
        changes: dict[str, Any] = {}
        if row.get("band_hz"):
            changes["band_hz"] = min(float(row["band_hz"]), FULL_BAND_HZ)
        if row.get("moves_in_pitch"):
            changes["moves"] = row["moves_in_pitch"] == "yes"
        return replace(self, **changes)


#: Traits of recordings that were not measured.
UNKNOWN = Traits()


def is_voice(role: str) -> bool:
    """Return whether recordings of a role are voices without music."""
    return role in ("vocals", "speech", "song-vocals")


def measure(samples: NDArray[np.int16], role: str) -> Traits:
    """Measure the traits that matter for a role, of int16 ``(channels, N)`` at 44.1 kHz."""
    band_hz = band_edge(samples)
    slow = np.concatenate(
        [
            # A minute at a time, since a recording may be as long as an album.
            soxr.resample(
                samples[:, start : start + 44100 * 60].mean(axis=0, dtype=np.float32) / 32768,
                44100,
                SLOW_RATE,
            )
            for start in range(0, samples.shape[1], 44100 * 60)
        ]
    )
    if is_voice(role):
        pitch = pitch_of(slow)
        return Traits(band_hz, moves_in_pitch(pitch), pitch.astype(np.float16))
    chroma, tuning = chroma_of(slow)
    return Traits(band_hz, False, chroma=chroma, tuning=tuning, beats=beats_of(slow))


def band_edge(samples: NDArray[np.int16]) -> float:
    """Find the highest frequency in Hz of samples ``(channels, N)`` at 44.1 kHz.

    It is that of the highest band that is audible now and then, unless the level falls steeply
    below it: above such a slope, a filter has left only a coder's noise.
    """
    frame, width_hz = 2048, 500
    starts = np.linspace(0, max(0, samples.shape[1] - frame), 1500).astype(np.int64)
    views = np.stack([samples[:, start : start + frame].mean(axis=0) for start in starts])
    power = np.square(np.abs(windowed((views / 32768).astype(np.float32))))
    frequencies_hz = np.linspace(0, 22050, power.shape[1])
    bands = np.array(
        [power[:, frequencies_hz // width_hz == band].sum(axis=1) for band in range(44)]
    )
    # The level that one frame in twenty reaches: consonants count, clicks do not.
    level_db = 10 * np.log10(np.quantile(bands, 0.95, axis=1) + 1e-9)
    if level_db.max() < -60:
        return FULL_BAND_HZ  # silence has no band
    heard = np.flatnonzero(level_db > level_db[2:8].max() - 65)
    edge = int(heard[-1]) if len(heard) else 43
    if (edge + 1) * width_hz >= FULL_FROM_HZ:
        return FULL_BAND_HZ
    lowest = max(1, edge - 5)
    while edge > lowest and level_db[edge - 1] - level_db[edge] > 5:
        edge -= 1
    return float((edge + 1) * width_hz)


def pitch_of(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Follow the pitch of a voice ``(N,)`` at ``SLOW_RATE``, in semitones; nan where unvoiced.

    This is the difference function of YIN, computed from autocorrelations. It finds a pitch in
    fewer frames than :func:`karaoke.training.mixtures.intonation.track_pitch`, which takes hum and
    reverb for a voice that moves: here, a wrong note is worse than none.

    References
    ----------
    de Cheveigné, A. & Kawahara, H., "YIN, a fundamental frequency estimator for speech and music",
    2002.
    """
    lags = np.arange(round(SLOW_RATE / PITCH_RANGE_HZ[0]) + 2)
    window, size = 512, 1024
    frames = len(audio) * PITCH_RATE // SLOW_RATE
    padded = np.pad(audio, (window // 2, window + len(lags)))
    starts = np.arange(frames) * SLOW_RATE // PITCH_RATE
    pitch = np.full(frames, np.nan, dtype=np.float32)
    loudest = 1e-8
    for first in range(0, frames, 4000):  # a minute or so at a time
        here = starts[first : first + 4000]
        block = padded[here[:, None] + np.arange(window + len(lags))]
        spectra = rfft(block, size)
        alike = irfft(rfft(block[:, :window], size).conj() * spectra, size)[:, : len(lags)]
        energy = np.cumsum(np.square(block, dtype=np.float64), axis=1)
        moved = energy[:, window + lags - 1] - np.pad(energy, ((0, 0), (1, 0)))[:, lags]
        difference = (moved[:, :1] + moved - 2 * alike).clip(0)
        mean = np.cumsum(difference, axis=1)[:, 1:] / lags[1:]
        difference[:, 1:] /= mean.clip(1e-9)
        lag = first_dip(difference[:, round(SLOW_RATE / PITCH_RANGE_HZ[1]) - 1 :])
        lag += round(SLOW_RATE / PITCH_RANGE_HZ[1]) - 1
        loudest = max(loudest, float(moved[:, 0].max()))
        lag[moved[:, 0] < 1e-4 * loudest] = np.nan
        pitch[first : first + 4000] = 69 + 12 * np.log2(SLOW_RATE / lag / 440)
    return pitch


def first_dip(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the lag of the first deep minimum of each row, interpolated; NaN if there is none."""
    left, here, right = difference[:, :-2], difference[:, 1:-1], difference[:, 2:]
    dips = (here < 0.15) & (here <= left) & (here < right)
    at = dips.argmax(axis=1)
    rows = np.arange(len(dips))
    lag = at + 1 + peak_offset(*(-part[rows, at] for part in (left, here, right)))
    return np.where(dips.any(axis=1), lag, np.nan)


def moves_in_pitch(pitch: NDArray[np.float32]) -> bool:
    """Return whether a voice sings several pitches within two seconds, most of the time.

    Whether it slides does not matter: syllables of constant pitch begin and end with slides, and
    a chant may move in steps.
    """
    length = 2 * PITCH_RATE
    if len(pitch) < length:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(pitch, length)[:: length // 2]
    windows = windows[np.isfinite(windows).mean(axis=1) > 0.3]
    if not len(windows):
        return False
    low, high = np.nanquantile(windows, (0.15, 0.85), axis=1)
    return bool(np.quantile(high - low, 0.3) >= MOVING_SEMITONES)


def chroma_of(audio: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float]:
    """Measure chroma and tuning of music ``(N,)`` at ``SLOW_RATE``; see :class:`Traits`.

    Only peaks of the spectrum count, so drums contribute little.
    """
    size = 4096  # 372 ms: a semitone apart at 50 Hz
    frames = max(1, len(audio) * CHROMA_RATE // SLOW_RATE)
    padded = np.pad(audio, (size // 2, size))
    energies, classes, at = [], [], []
    for first in range(0, frames, 600):
        number = np.arange(first, min(first + 600, frames))
        starts = number * SLOW_RATE // CHROMA_RATE
        power = np.abs(windowed(padded[starts[:, None] + np.arange(size)]))[:, 20:480]
        left, here, right = power[:, :-2], power[:, 1:-1], power[:, 2:]
        loud = here > 0.03 * here.max(axis=1, keepdims=True)
        rows, bins = np.nonzero((here > left) & (here >= right) & loud)
        offset = peak_offset(*(np.log(part[rows, bins] + 1e-9) for part in (left, here, right)))
        hz = (bins + 21 + offset) * SLOW_RATE / size
        classes.append(12 * np.log2(hz / 440) + 69)
        energies.append(np.square(here[rows, bins]))
        at.append(number[rows])
    energy, semitones, frame = (np.concatenate(part) for part in (energies, classes, at))
    # The circular mean of all fractions of a semitone.
    total = np.sum(energy * np.exp(2j * np.pi * semitones))
    tuning = float(np.angle(total) / (2 * np.pi)) if energy.size else 0.0
    chroma = np.zeros((12, frames))
    np.add.at(chroma, (np.round(semitones - tuning).astype(np.int64) % 12, frame), energy)
    level_db = 10 * np.log10(chroma + 1e-12) - 20 * np.log10(size / 4)
    return np.round(255 + level_db / CHROMA_STEP_DB).clip(0, 255).astype(np.uint8), tuning


def beats_of(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find the beats of music ``(N,)`` at ``SLOW_RATE``, in seconds, at one tempo; none in silence.

    References
    ----------
    Ellis, D., "Beat Tracking by Dynamic Programming", 2007.
    """
    onsets = onsets_of(audio)
    if len(onsets) < 4 * ONSET_RATE or not onsets.any():
        return nothing()
    # The tempo is the lag at which onsets repeat, preferably about half a second.
    size = 1 << (2 * len(onsets)).bit_length()
    again = irfft(np.square(np.abs(rfft(onsets - onsets.mean(), size))), size)
    lags = np.arange(round(0.3 * ONSET_RATE), ONSET_RATE)
    period = int(lags[np.argmax(again[lags] * np.exp(-0.5 * np.log2(lags / ONSET_RATE * 2) ** 2))])
    # The best sequence of beats that ends at each frame has loud onsets and steady steps.
    steps = np.arange(period // 2, 2 * period + 1)
    unsteady = -100 * np.square(np.log(steps / period))
    score = np.concatenate([np.zeros(2 * period), onsets]).astype(np.float64)
    before = np.zeros(len(score), dtype=np.int64)
    for frame in range(2 * period, len(score)):
        scores = score[frame - steps] + unsteady
        best = int(scores.argmax())
        before[frame] = frame - steps[best]
        score[frame] += max(0.0, scores[best])
    beats = [int(score[-period:].argmax()) + len(score) - period]
    while before[beats[-1]] >= 2 * period:
        beats.append(int(before[beats[-1]]))
    return ((np.array(beats[::-1]) - 2 * period) / ONSET_RATE).astype(np.float32)


def onsets_of(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure how fast music ``(N,)`` at ``SLOW_RATE`` grows louder, in standard deviations.

    The sum over all frequencies, ``ONSET_RATE`` times per second.
    """
    size = 512
    frames = len(audio) * ONSET_RATE // SLOW_RATE
    padded = np.pad(audio, (size // 2, size))
    louder = np.zeros(frames, dtype=np.float32)
    for first in range(0, frames, 4000):
        number = np.arange(max(0, first - 1), min(first + 4000, frames))
        starts = number * SLOW_RATE // ONSET_RATE
        level = np.log1p(100 * np.abs(windowed(padded[starts[:, None] + np.arange(size)])))
        louder[number[1:]] = np.diff(level, axis=0).clip(0).sum(axis=1)
    return louder / max(float(louder.std()), 1e-6)


def traits_path(recording: Path) -> Path:
    """Return where the traits of a recording, or of its decoded samples ``NAME.npy``, are kept."""
    return recording.with_name(recording.name.removesuffix(".npy") + ".traits.npz")


def read_traits(recording: Path, role: str) -> Traits | None:
    """Read the traits beside a recording, or beside its samples.

    Returns
    -------
    Traits or None
        None if they are missing, damaged, older than the recording, or measured for another role.
    """
    path = traits_path(recording)
    try:
        if path.stat().st_mtime < recording.stat().st_mtime:
            return None
        with np.load(path) as saved:
            if int(saved["version"]) != VERSION:
                return None
            values = {one.name: saved[one.name] for one in fields(Traits)}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    traits = Traits(**{name: v if v.ndim else v.item() for name, v in values.items()})
    return traits if (traits.pitch if is_voice(role) else traits.chroma).size else None


def write_traits(recording: Path, traits: Traits) -> None:
    """Write traits beside a recording, or beside its samples; see :func:`caching` for errors."""
    values = {one.name: getattr(traits, one.name) for one in fields(Traits)}
    with caching(traits_path(recording)) as part:
        np.savez(part, version=VERSION, **values)


@contextmanager
def caching(target: Path) -> Iterator[Path]:
    """Yield the path of a part file, which becomes a file of the cache once it is written.

    Raises
    ------
    WriteError, OutputExistsError, PermissionDeniedError
        The cache cannot be written.
    """
    hint = "Choose another folder with --cache."
    with writing_to(target, hint=hint):
        target.parent.mkdir(parents=True, exist_ok=True)
        with PartFile(target, hint) as part:
            yield part.path
            part.publish()  # not flushed, which takes time: files damaged by a crash are made again


def measure_to_cache(source: Path, target: Path, role: str) -> None:
    """Measure the traits of decoded samples and write them beside these, unless they are there.

    Parameters
    ----------
    source
        The recording. If there are traits beside it, as in a packed corpus, they are copied.
    target
        Its samples, a ``.npy`` file of the cache.
    role
        The recording's role.
    """
    if read_traits(target, role):
        return
    traits = read_traits(source, role) or measure(np.load(target, mmap_mode="r"), role)
    write_traits(target, traits)
