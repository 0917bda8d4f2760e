"""Render "The Mic Is Mine", the short song the tests split into its two stems.

The song is an original composition made only for this project: the band is synthesised here
with numpy and scipy, and the singer of ``singer.py`` is the speech synthesiser ``espeak-ng``
with every syllable re-synthesised on the melody's note. Rendering needs ``espeak-ng`` and
``ffmpeg`` on the path; using the rendered files needs neither. Everything it writes is
dedicated to the public domain under CC0 1.0.

Lyrics::

    The words light up along the line,      Sing it back, sing it strong,
    the singer's gone, the mic is mine.     no one here can get it wrong.  ...  Sing it back!
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

# isort: split
from singer import RATE, Audio, band, hertz, sing

SEED = 1808
BEAT = 60 / 108
BAR = 4 * BEAT
LENGTH = round((12 * BAR + 1.1) * RATE)

VERSE, CHORUS, BREAK, ENDING = 8, 24, 40, 44  # first beat of each section

# (beat in the section, length in beats, MIDI note, espeak phonemes) of every sung syllable.
VERSE_NOTES = [
    (-0.5, 0.5, 57, "D@2"), (0, 0.5, 60, "w'3:dz"), (0.5, 0.5, 62, "l'aIt"), (1, 1, 64, "'Vp"),
    (2, 0.5, 62, "'a#"), (2.5, 0.5, 64, "l'O2N"), (3, 0.5, 62, "D@2"), (3.5, 2.5, 60, "l'aIn"),
    (7.5, 0.5, 60, "D@2"), (8, 0.5, 64, "s'IN"), (8.5, 0.5, 64, "3z"), (9, 1, 67, "g'O2n"),
    (10, 0.5, 67, "D@2"), (10.5, 0.5, 64, "m'aIk"), (11, 0.5, 65, "'Iz"), (11.5, 3, 62, "m'aIn"),
]  # fmt: skip
CHORUS_NOTES = [
    (0, 1, 69, "s'IN"), (1, 0.5, 67, "'It"), (1.5, 2, 69, "b'ak"),
    (4, 1, 71, "s'IN"), (5, 0.5, 69, "'It"), (5.5, 2, 71, "str'O2N"),
    (8, 0.5, 67, "n'oU"), (8.5, 0.5, 67, "w'Vn"), (9, 1, 71, "h'i@3"), (10, 0.5, 69, "k'an"),
    (10.5, 0.5, 67, "g'Et"), (11, 0.5, 64, "'It"), (11.5, 3.5, 72, "r'O2N"),
]  # fmt: skip
ENDING_NOTES = [(0, 0.5, 69, "s'IN"), (0.5, 0.5, 67, "'It"), (1, 3, 64, "b'ak")]

# One (bass, chord voicing) per half bar, from the intro to the last chord.
F, G, A = (41, (57, 60, 64, 67)), (43, (59, 62, 64, 67)), (45, (57, 60, 64, 67))
C, E, D = (36, (55, 60, 62, 64)), (40, (55, 59, 62, 64)), (38, (57, 60, 62, 65))
CHORDS = [F, F, G, G, A, A, F, F, C, C, G, G, F, F, G, G, E, E, A, A, D, G, C, C]

# (beat of the song, MIDI note, length in beats) of the plucked counter melody.
RIFF = [(0, 72, 0.5), (1.5, 76, 0.5), (2.5, 79, 1), (4, 79, 0.5), (5.5, 74, 0.5), (6.5, 71, 1)]
RIFF += [(14.5, 81, 0.25), (14.75, 79, 0.25), (15, 76, 0.5), (22.5, 79, 0.5), (23, 81, 0.5)]
RIFF += [(CHORUS + b, n, 0.5) for b, n in [(3, 84), (3.5, 81), (7, 83), (7.5, 79), (12.5, 76)]]
RIFF += [(BREAK + b, n, 0.5) for b, n in [(0, 77), (0.5, 81), (1.5, 84), (2, 83), (3, 79)]]
RIFF += [(ENDING + b, n, 1.0) for b, n in [(2, 79), (2.5, 84), (3.5, 86)]]


def place(bus: Audio, wave: Audio, time: float, gain: float = 1.0, pan: float = 0.0) -> None:
    """Add a mono sound to a stereo bus, ``pan`` from -1 (left) to 1 (right), at equal power."""
    start = round(time * RATE)
    skip = max(0, -start)
    wave = wave[skip : skip + LENGTH - start - skip]
    angle = (pan + 1) * np.pi / 4
    sides = np.array([[np.cos(angle)], [np.sin(angle)]])
    bus[:, start + skip : start + skip + len(wave)] += gain * sides * wave


def reverb(bus: Audio, seconds: float, rng: np.random.Generator) -> Audio:
    """Return the wet signal of a small diffuse room with the given decay time."""
    t = np.arange(round(seconds * RATE)) / RATE
    room = rng.standard_normal((2, len(t))) * 10 ** (-3 * t / seconds)
    # High tones die first in a real room; a short gap keeps the direct sound clear.
    room = band(room, "lowpass", 6500, 1) * (t > 0.018)
    room /= np.sqrt((room**2).sum(axis=1, keepdims=True))
    return signal.fftconvolve(bus, room, axes=1)[:, :LENGTH]


def shelf(wave: Audio, hz: float, decibels: float) -> Audio:
    """Raise everything above a frequency."""
    return wave + (10 ** (decibels / 20) - 1) * band(wave, "highpass", hz, 1)


def vocal_stem(rng: np.random.Generator) -> Audio:
    """Sing, double and finish the vocal part.

    Returns
    -------
    Audio
        The stereo stem at an arbitrary level, silent until the first breath.
    """
    sections = ((VERSE, VERSE_NOTES), (CHORUS, CHORUS_NOTES), (ENDING, ENDING_NOTES))
    score = [(s + b, n, note, text) for s, part in sections for b, n, note, text in part]
    lead = [(b * BEAT + rng.normal(0, 0.006), n * BEAT, note, text) for b, n, note, text in score]
    late = [(b * BEAT + rng.normal(0.012, 0.008), n * BEAT, note + 0.06, text)
            for b, n, note, text in score if b >= CHORUS]  # fmt: skip
    white = [note for note in range(40, 90) if note % 12 in (0, 2, 4, 5, 7, 9, 11)]
    third = [(b, n, white[white.index(round(note)) - 2], text) for b, n, note, text in late]
    stem = np.zeros((2, LENGTH))
    for notes, gain, pan in ((lead, 1, 0), (late, 0.22, -0.4), (third, 0.28, 0.45)):
        voice = band(sing(notes, LENGTH, rng), "highpass", 120)
        voice = shelf(shelf(voice, 2500, 4), 6000, 6)
        # What the synthesiser cannot give above 9 kHz is grown out of the band below it.
        bright = band(voice, "highpass", 5000)
        voice += 0.5 * band(bright * np.abs(bright), "highpass", 9000)
        level = np.sqrt(np.abs(ndimage.uniform_filter1d(voice**2, 2200))) + 0.05
        place(stem, voice * level**-0.5, 0.0, gain, pan)
    echo = np.zeros_like(stem)
    for repeat in (1, 2):
        lag = round(0.75 * BEAT * repeat * RATE)
        echo[:, lag:] += 0.09 * 0.5**repeat * band(stem, "bandpass", (400, 5000), 1)[:, :-lag]
    return stem + echo + 0.11 * reverb(band(stem, "highpass", 300), 1.3, rng)


# --- the band -----------------------------------------------------------------------------------


def decay(seconds: float, fall: float) -> tuple[Audio, Audio]:
    """Return a time axis and an exponential decay along it."""
    t = np.arange(round(seconds * RATE)) / RATE
    return t, np.exp(-t / fall)


def saw(hz: float, seconds: float, phase: float = 0.0) -> Audio:
    """Return a sawtooth whose jumps are rounded so that it does not alias."""
    step = hz / RATE
    turn = (phase + step * np.arange(round(seconds * RATE))) % 1
    wave = 2 * turn - 1
    wave -= np.where(turn < step, -((1 - turn / step) ** 2), 0)
    return wave - np.where(turn > 1 - step, ((turn - 1) / step + 1) ** 2, 0)


def drum(name: str, rng: np.random.Generator) -> Audio:
    """Return one stroke of a drum; no two strokes have the same noise."""
    if name == "kick":
        t, fall = decay(0.35, 0.11)
        return fall * np.sin(2 * np.pi * (48 * t - 4.2 * np.exp(-t / 0.028))) + 0.25 * np.exp(
            -t / 0.002
        ) * rng.standard_normal(len(t))
    if name.startswith("tom"):
        t, fall = decay(0.4, 0.12)
        return fall * np.sin(2 * np.pi * (float(name[3:]) * t - 1.5 * np.exp(-t / 0.04)))
    noise = rng.standard_normal(3 * RATE)
    if name == "snare":
        t, fall = decay(0.3, 0.07)
        tone = np.sin(2 * np.pi * 187 * t) + 0.5 * np.sin(2 * np.pi * 331 * t)
        wires = band(noise[: len(t)], "bandpass", (1200, 9000))
        return 0.6 * tone * np.exp(-t / 0.05) + 0.9 * wires * fall
    if name == "clap":
        t, fall = decay(0.25, 0.06)
        hands = sum(np.exp(-np.maximum(t - d, 0) / 0.006) * (t >= d) for d in (0, 0.011, 0.023))
        return band(noise[: len(t)], "bandpass", (900, 4000)) * (hands + 0.5 * fall)
    length = {"hat": 0.022, "open": 0.12, "crash": 0.45}[name]
    t, fall = decay(6 * length, length)
    metal = sum(np.sign(np.sin(2 * np.pi * hz * t)) for hz in (3170, 4210, 5390, 6233, 8017))
    return 0.3 * band(noise[: len(t)] + 0.35 * metal, "highpass", 6500, 3) * fall * (1 - t / t[-1])


def drum_hits() -> list[tuple[float, str, float]]:
    """Write the drum part as (beat, drum, velocity)."""
    hits = [(float(s), "crash", 0.6) for s in (VERSE, CHORUS, ENDING)]
    for bar in range(11):
        start, chorus = bar * 4, CHORUS <= bar * 4 < BREAK
        for eighth in range(8):
            accent = 0.75 if eighth % 2 == 0 else 0.5
            is_open = chorus and eighth % 2 == 1
            hits.append((start + eighth / 2, "open" if is_open else "hat", accent))
            if eighth % 3 == 2 and bar > 1:
                hits.append((start + eighth / 2 + 0.25, "hat", 0.3))
        if bar == 0:
            continue
        kicks = (0, 1.5, 2, 3.5) if chorus else (0, 1.5, 2.5)
        hits += [(start + b, "kick", 0.9) for b in kicks if bar != 10 or b < 2]
        if bar > 1 and bar != 10:
            hits += [(start + b, "snare", 0.8) for b in (1, 3)]
            hits += [(start + b, "clap", 0.6) for b in (1, 3) if chorus]
    hits += [(7 + k / 4, "snare", 0.4 + 0.12 * k) for k in range(4)] + [(BREAK + 1, "snare", 0.8)]
    fill = ("snare", "snare", "tom170", "tom170", "tom130", "tom130", "tom95", "snare")
    hits += [(BREAK + 2 + k / 4, name, 0.6 + 0.05 * k) for k, name in enumerate(fill)]
    return [*hits, (float(ENDING), "kick", 1.0)]


def electric_piano(note: float, seconds: float, velocity: float) -> Audio:
    """Return a struck tine: frequency modulation whose brightness follows the velocity."""
    t, fall = decay(seconds + 0.15, 0.9)
    turn = 2 * np.pi * hertz(note) * t
    body = np.sin(turn + 1.6 * velocity * np.exp(-t / 0.35) * np.sin(turn))
    tine = 0.12 * np.sin(14 * turn) * np.exp(-t / 0.06)
    return velocity * (body + tine) * fall * np.clip((seconds + 0.15 - t) / 0.15, 0, 1)


def swing(beat: float) -> float:
    """Return the second of a beat, with the second and fourth sixteenth a little late."""
    return (beat + (0.035 if beat % 0.5 > 0.2 else 0)) * BEAT


def play_drums(rng: np.random.Generator) -> Audio:
    """Play the drum part with a little human inaccuracy."""
    bus = np.zeros((2, LENGTH))
    pans = {"hat": 0.3, "open": 0.3, "crash": -0.4, "tom170": -0.4, "tom95": 0.4}
    gains = {"kick": 0.85, "snare": 0.75, "clap": 0.7, "hat": 0.9, "open": 0.7, "crash": 0.7}
    for beat, name, velocity in drum_hits():
        time = max(0.0, swing(beat) + rng.normal(0, 0.003))
        gain = gains.get(name, 0.6) * velocity * rng.uniform(0.85, 1.1)
        place(bus, drum(name, rng), time, gain, pans.get(name, 0))
    return bus


def play_bass(rng: np.random.Generator) -> Audio:
    """Play the bass: roots that lean on the kick, with an octave jump in the chorus."""
    bus = np.zeros((2, LENGTH))
    verse, chorus = [(0, 0.9), (1.5, 0.45)], [(0, 0.45), (0.5, 0.4), (1, 0.4), (1.5, 0.45)]
    for half, (root, _) in enumerate(CHORDS[2:23], 2):
        beat, last = half * 2, half == 22
        driving = CHORUS <= beat < BREAK
        for offset, length in [(0, 4.0)] if last else chorus if driving else verse:
            note = root + (12 if driving and offset == 1.5 else 0)
            t, fall = decay(length * BEAT, 2.0 if last else 0.5)
            wave = saw(float(hertz(note)), length * BEAT)
            tone = band(wave, "lowpass", 1600) * (0.3 + np.exp(-t / 0.12))
            tone += 0.7 * np.sin(2 * np.pi * hertz(note) * t)
            edge = np.clip(t / 0.004, 0, 1) * np.clip((t[-1] - t) / 0.02, 0, 1)
            time = swing(beat + offset) + abs(rng.normal(0, 0.003))
            place(bus, tone * fall * edge, time, 0.24)
    return bus


def play_keys(rng: np.random.Generator) -> Audio:
    """Play the electric piano, each chord slightly broken and spread over the stereo width."""
    bus = np.zeros((2, LENGTH))
    for half, (_, voicing) in enumerate(CHORDS[:23]):
        strokes = [(-0.5, 0.8), (0.5, 1.2)] if half % 2 else [(0, 3.8 if half == 22 else 1.2)]
        for offset, length in strokes:
            for k, note in enumerate(voicing):
                time = swing(half * 2 + offset) + 0.008 * k + abs(rng.normal(0, 0.004))
                sound = electric_piano(note, length * BEAT, rng.uniform(0.55, 0.8))
                place(bus, sound, time, 0.2, 0.5 * np.sin(1.7 * k + half))
    return bus


def play_pads(rng: np.random.Generator) -> Audio:
    """Play detuned saws, wide and filtered, under the chorus and the last chord."""
    bus = np.zeros((2, LENGTH))
    for half in [*range(CHORUS // 2, BREAK // 2), 22]:
        last = half == 22
        length = (4.5 if last else 2.05) * BEAT
        t = np.arange(round(length * RATE)) / RATE
        shape = np.clip(t / 0.06, 0, 1) * np.clip((length - t) / (1.5 if last else 0.08), 0, 1)
        for note in CHORDS[half][1]:
            for pan, cents in ((-0.9, -9), (0.0, 0), (0.9, 9)):
                wave = saw(float(hertz(note + 12 + cents / 100)), length, rng.uniform())
                place(bus, wave * shape, half * 2 * BEAT, 0.04, pan)
    return band(bus, "lowpass", 4500, 1)


def play_riff(rng: np.random.Generator) -> Audio:
    """Play the plucked counter melody with its echoes thrown from side to side."""
    bus = np.zeros((2, LENGTH))
    for beat, note, length in RIFF:
        t, fall = decay(length * BEAT + 0.4, 0.22)
        wave = sum(saw(float(hertz(note + d)), len(t) / RATE) for d in (0.0, 0.08))
        time = max(0.0, swing(beat) + rng.normal(0, 0.004))
        for lag, gain, pan in ((0, 1.0, 0.35), (0.75, 0.4, -0.7), (1.5, 0.2, 0.7)):
            place(bus, wave * fall, time + lag * BEAT, 0.1 * gain, pan)
    return band(bus, "lowpass", 5000, 1)


def instrumental_stem(rng: np.random.Generator) -> Audio:
    """Mix the band and put it in a room."""
    drums, keys, pads, riff = play_drums(rng), play_keys(rng), play_pads(rng), play_riff(rng)
    send = band(0.12 * drums + 0.2 * keys + 0.25 * pads + 0.3 * riff, "highpass", 250)
    return drums + play_bass(rng) + keys + pads + riff + reverb(send, 1.5, rng)


# --- the mix ------------------------------------------------------------------------------------


def mix(vocals: Audio, band_stem: Audio) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Balance and limit the stems together, so that their plain sum is the finished record."""
    energy = ndimage.uniform_filter1d((vocals**2).sum(axis=0), RATE // 5)
    singing = energy > 0.03 * energy.max()
    ratio = np.sqrt(np.mean(band_stem[:, singing] ** 2) / np.mean(vocals[:, singing] ** 2))
    vocals = vocals * ratio * 10 ** (1 / 20)
    peak = np.abs(vocals + band_stem).max(axis=0)
    # One gain for both stems keeps them true: the limiter may not treat them apart.
    drive = 10 ** (2.8 / 20) / peak.max()
    hold = ndimage.maximum_filter1d(peak * drive, 661)
    gain = ndimage.uniform_filter1d(np.minimum(1, 1 / hold), 661) * drive * 10 ** (-1.2 / 20)
    gain[-RATE:] *= np.linspace(1, 0, RATE) ** 1.5
    stems = [np.round(stem * gain * 32767).astype(np.int16) for stem in (vocals, band_stem)]
    return stems[0], stems[1]


def encode(samples: NDArray[np.int16], path: Path, *options: str) -> None:
    """Write 16-bit stereo samples (2, n) through ffmpeg."""
    argv = ["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", str(RATE), "-ac", "2", "-i", "-"]
    argv += ["-map_metadata", "-1", *options, str(path)]
    subprocess.run(argv, input=samples.T.astype("<i2").tobytes(), check=True)


def main() -> None:
    """Render the song and its two stems."""
    parser = argparse.ArgumentParser(description="Render the test song and its two stems.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="output folder")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    vocals, backing = mix(vocal_stem(rng), instrumental_stem(rng))
    comment = "Rendered by tests/data/render_song.py; CC0 1.0 (public domain dedication)"
    tags = ["-metadata", "artist=karaoke", "-metadata", f"comment={comment}"]
    flac = ["-c:a", "flac", "-compression_level", "12", *tags]
    encode(vocals, out / "vocals.flac", *flac, "-metadata", "title=The Mic Is Mine (vocals)")
    encode(backing, out / "instrumental.flac", *flac, "-metadata",
           "title=The Mic Is Mine (instrumental)")  # fmt: skip
    encode(vocals + backing, out / "song.mp3", "-c:a", "libmp3lame", "-b:a", "192k",
           "-id3v2_version", "3", *tags, "-metadata", "title=The Mic Is Mine")  # fmt: skip


if __name__ == "__main__":
    main()
