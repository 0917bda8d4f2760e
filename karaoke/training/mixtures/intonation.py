"""The pitch of a voice: tracked, shifted, and corrected to a scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.peaks import peak_offset
from karaoke.training.mixtures.augment import (
    Audio,
    Rng,
    db_to_gain,
    low_pass,
    pan,
    read_at,
)
from karaoke.training.mixtures.formants import restore_formants
from karaoke.training.spectra import fast_length, hann, irfft, rfft

#: Distance between frames of a pitch track.
HOP_SECONDS = 0.01
#: Lowest and highest pitch that are searched for.
PITCH_RANGE_HZ = (70.0, 900.0)
#: Correlation of a frame with itself a period later, from which it counts as voiced.
VOICED = 0.5
#: Length of a frame of the pitch tracker: two periods of the lowest voice fit in.
FRAME_SECONDS = 0.046
#: Scales that voices are tuned to, in semitones above their root.
SCALES = {
    "chromatic": tuple(range(12)),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "pentatonic": (0, 3, 5, 7, 10),
    "chord": (0, 4, 7),
    "robot": (0,),
}
#: Intervals in semitones at which a harmoniser repeats a voice.
INTERVALS = (-12, -9, -8, -5, -4, 3, 4, 5, 7, 8, 12)


def track_pitch(audio: Audio, sample_rate: int) -> NDArray[np.float64]:
    """Find the pitch in Hz every 10 ms; zero where there is none.

    This is the autocorrelation of what is below 1.5 kHz, divided by that of the window (P. Boersma,
    "Accurate short-term analysis of the fundamental frequency", IFA Proceedings 17, 1993). In songs
    it finds up to twice as many pitches as :func:`karaoke.training.traits.pitch_of`, which returns
    none when in doubt; here, such notes would stay untuned.

    Parameters
    ----------
    audio
        ``(channels, samples)``; the mean of the channels is analysed.

    Returns
    -------
    ndarray
        ``(frames,)``; frame ``i`` is centred at ``i * HOP_SECONDS``.
    """
    frame, hop = round(FRAME_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    size = fast_length(frame + frame // 2)
    window = hann(frame)
    padded = np.pad(audio.mean(axis=0), (frame // 2, frame))
    frames = np.lib.stride_tricks.sliding_window_view(padded, frame)[: audio.shape[1] : hop]
    power = np.square(np.abs(rfft(frames * window, size)))
    # The root flattens formants, which can be stronger than the fundamental.
    power[:, : round(1500 * size / sample_rate)] **= 0.7
    power[:, round(1500 * size / sample_rate) :] = 0
    lags = np.arange(int(sample_rate / PITCH_RANGE_HZ[1]) - 2, int(sample_rate / PITCH_RANGE_HZ[0]))
    own = irfft(np.square(np.abs(rfft(window, size))), size)[: lags[-1] + 1]
    correlation = irfft(power, size)[:, : lags[-1] + 1] / (own / own[0])
    correlation /= np.maximum(correlation[:, :1], 1e-9)
    # Two periods correlate as well as one, so shorter lags get a small bonus.
    scores = correlation[:, lags] - 0.04 * np.log2(lags / lags[0])
    best = scores.argmax(axis=1).clip(1, len(lags) - 2)
    rows = np.arange(len(best))
    offset = peak_offset(*(scores[rows, best + k] for k in (-1, 0, 1)))
    pitch = sample_rate / (lags[best] + offset.clip(-0.5, 0.5))
    level = np.sqrt(np.mean(np.square(frames), axis=1))
    voiced = (correlation[rows, lags[best]] > VOICED) & (level > 0.02 * max(level.max(), 1e-4))
    return _median(np.where(voiced, pitch, 0.0), 5)


def _median(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Filter by the median of each value and its neighbours."""
    padded = np.pad(values, width // 2, mode="edge")
    views = np.lib.stride_tricks.sliding_window_view(padded, width)
    middle: NDArray[np.float64] = np.median(views, axis=1)
    return middle


def shift(audio: Audio, ratio: NDArray[np.float64], sample_rate: int) -> Audio:
    """Shift the pitch by a varying ratio, and keep the time.

    Overlapping grains are read at the speed of the ratio, each from where it looks most like the
    continuation of the one before (W. Verhelst and M. Roelands, "An overlap-add technique based on
    waveform similarity (WSOLA)", ICASSP 1993). Formants move with the pitch, as in
    :func:`karaoke.training.mixtures.augment.bend`.

    Parameters
    ----------
    ratio
        Per sample; 2 is an octave up.
    """
    length = audio.shape[1]
    highest = float(ratio.max())
    if highest > 1.2:  # what exceeds half the sample rate would be mirrored
        audio = low_pass(audio, 0.45 * sample_rate / highest, sample_rate)
    hop = round(0.02 * sample_rate)
    grains = -(-length // hop) + 1
    whole = np.pad(ratio, (hop, (grains + 1) * hop - length), mode="edge")
    travelled = np.cumsum(whole)[: (grains + 1) * hop].reshape(grains + 1, hop)
    origins = travelled[1:, 0]  # at the centre of each grain
    starts = _grain_starts(audio.mean(axis=0), np.diff(origins), hop, sample_rate)
    path = np.concatenate([travelled[:-1], travelled[1:]], axis=1)  # (grains, 2 * hop)
    position = (path + (starts - origins)[:, None]).clip(0, length - 3)
    pieces = read_at(audio, position.ravel()).reshape(len(audio), grains, 2, hop)
    pieces *= hann(2 * hop).reshape(2, hop)
    # A grain fades while the next one rises.
    total = (pieces[:, 1:, 0] + pieces[:, :-1, 1]).reshape(len(audio), -1)
    return np.ascontiguousarray(total[:, :length])


def _grain_starts(
    mono: NDArray[np.float32], ways: NDArray[np.float64], hop: int, sample_rate: int
) -> NDArray[np.float64]:
    """Find where to read each grain's centre: near its time, in phase with the previous grain.

    ``ways`` are the lengths to read from the centre of each grain to the next.
    """
    reach = round(0.5 * sample_rate / PITCH_RANGE_HZ[0])  # half the longest period
    length, coarse = round(0.012 * sample_rate), 4
    margin = reach + length + 4 * hop
    padded = np.pad(mono, margin)
    sparse = padded[: len(padded) // coarse * coarse].reshape(-1, coarse).mean(axis=1)
    starts = np.zeros(len(ways) + 1)
    for k, way in enumerate(ways):
        wanted = starts[k] + way
        continuation = int(wanted) + margin - length // 2
        search = min(hop * (k + 1), len(mono)) + margin - length // 2
        best = 0
        for step, source, width in ((coarse, sparse, reach), (1, padded, coarse)):
            template = source[continuation // step : (continuation + length) // step]
            first = (search + best - width) // step
            field = source[first : first + 2 * (width // step) + len(template)]
            likeness = np.correlate(field, template, "valid")
            best += (int(likeness.argmax()) - width // step) * step
        starts[k + 1] = search + best - margin + length // 2 + wanted % 1
    return starts


def snap(pitch_hz: NDArray[np.float64], scale: tuple[int, ...], root: int) -> NDArray[np.float64]:
    """Return the distance of each pitch from the nearest note of a scale, in semitones.

    Parameters
    ----------
    pitch_hz
        ``(frames,)``; zero where there is none.
    scale
        Semitones above the root, within an octave.
    root
        Root of the scale, in semitones above A.
    """
    voiced = pitch_hz > 0
    semitones = 12 * np.log2(np.where(voiced, pitch_hz, 440.0) / 440.0)
    notes = np.array([root + step + 12 * octave for octave in range(-6, 6) for step in scale])
    nearest = notes[np.abs(semitones[:, None] - notes).argmin(axis=1)]
    # A note that only lasts some hundredths of a second is a slip.
    nearest = _median(nearest.astype(np.float64), 7)
    return np.where(voiced, nearest - semitones, 0.0).clip(-7, 7)


def tune_hard(
    rng: Rng, audio: Audio, sample_rate: int, *, scale: str | None = None, root: int | None = None
) -> Audio:
    """Move every note onto a scale in fast steps, as overdone pitch correction does.

    The scale, a key of :data:`SCALES`, and its root, in semitones above A, are drawn if not given.
    """
    drawn = str(rng.choice(list(SCALES), p=(0.3, 0.2, 0.2, 0.15, 0.1, 0.05)))
    drawn_root = int(rng.integers(12))
    steps = SCALES[scale or drawn]
    off = snap(track_pitch(audio, sample_rate), steps, drawn_root if root is None else root)
    width = 2 * int(rng.choice([0, 0, 1, 2])) + 1  # of a step, in frames
    off = np.convolve(np.pad(off, width // 2, mode="edge"), np.full(width, 1 / width), "valid")
    frames = np.arange(audio.shape[1]) / (sample_rate * HOP_SECONDS)
    ratio = 2.0 ** (np.interp(frames, np.arange(len(off)), off) / 12)
    tuned = shift(audio, ratio, sample_rate)
    # This takes as long as everything else, and is inaudible for shifts of up to a semitone.
    return restore_formants(tuned, ratio) if np.abs(off).mean() > 1 else tuned


def _copy(rng: Rng, audio: Audio, semitones: float, sample_rate: int, keep: float) -> Audio:
    """Make a mono copy at an interval, whose formants are kept with probability ``keep``."""
    ratio = np.full(audio.shape[1], 2.0 ** (semitones / 12))
    copy = shift(audio.mean(axis=0, keepdims=True), ratio, sample_rate)
    return restore_formants(copy, ratio) if rng.random() < keep else copy


def harmonise(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Add two or three voices at fixed intervals, as a harmoniser does; mono becomes stereo."""
    total = np.broadcast_to(audio, (2, audio.shape[1])) * np.float32(rng.uniform(0.3, 1))
    for interval in rng.choice(INTERVALS, size=int(rng.choice([2, 2, 3])), replace=False):
        voice = _copy(rng, audio, interval + rng.normal(0, 0.05), sample_rate, keep=0.75)
        total = total + db_to_gain(rng.uniform(-8, 1)) * pan(rng, voice, 0.6)
    return total.astype(np.float32, copy=False)


def layer_octaves(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Add the octave below, the one above, or both."""
    total = audio * np.float32(rng.uniform(0.4, 1))
    for semitones in ((-12,), (12,), (-12, 12))[rng.integers(3)]:
        copy = _copy(rng, audio, semitones, sample_rate, keep=0.5)
        total = total + db_to_gain(rng.uniform(-9, 2)) * copy
    return total.astype(np.float32, copy=False)


def shift_formants(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Shift the formants but not the pitch, which makes a dwarf or a giant of the singer."""
    semitones = float(rng.choice([-1, 1]) * rng.uniform(2, 7))
    return restore_formants(audio, np.full(audio.shape[1], 2.0 ** (semitones / 12)))
