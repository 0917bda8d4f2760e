"""Compose and render instrumental music: ``karaoke workshop music FOLDER``.

Live bands are rare among openly licensed recordings. This writes a corpus of bands in many styles,
with leads that have bends and vibrato like voices. FluidSynth plays them (Debian: ``fluidsynth
fluid-soundfont-gm musescore-general-soundfont``); both soundfonts are under the MIT license. With
``--parts``, each piece is a folder of drums, bass and other, and every tenth is for validation.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from karaoke.errors import NoInputError
from karaoke.evaluation.corpora import write_manifest
from karaoke.training.corpus import SAMPLE_RATE
from karaoke.training.mixtures.augment import Rng
from karaoke.training.workshop.styles import STYLES, Style

TICKS = 480
STEP = TICKS // 4
STROKES = {"x": 100, "o": 62}
SCALES = {False: (0, 2, 4, 5, 7, 9, 11), True: (0, 2, 3, 5, 7, 8, 10)}
SOUNDFONT_FOLDERS = tuple(Path(f"/usr/share/sounds/{kind}") for kind in ("sf2", "sf3"))
DRUM_CHANNEL = 9
PARTS = ("drums", "bass", "other")
ATTRIBUTION = "karaoke project (composition); FluidR3 GM (Frank Wen), MuseScore General (sounds)"


class Part:
    """One instrument's events, at absolute ticks."""

    def __init__(self, channel: int, program: int, pan: int, volume: int) -> None:
        self.channel, self.events = channel, list[tuple[int, mido.Message]]()
        self.add(0, "program_change", program=program)
        self.add(0, "control_change", control=10, value=pan)
        self.add(0, "control_change", control=7, value=volume)

    def add(self, tick: int, kind: str, **values: int) -> None:
        """Add any message."""
        self.events.append((max(0, tick), mido.Message(kind, channel=self.channel, **values)))

    def note(self, rng: Rng, tick: int, length: int, note: int, velocity: float) -> None:
        """Add a note as a person plays it: slightly early or late, and never twice the same."""
        start = tick + int(rng.normal(0, 5))
        loud = int(np.clip(velocity + rng.normal(0, 7), 20, 127))
        self.add(start, "note_on", note=note, velocity=loud)
        self.add(start + max(20, length), "note_off", note=note)

    def to_midi(self) -> mido.MidiTrack:
        """Sort the events and make their times relative."""
        part, now = mido.MidiTrack(), 0
        for tick, message in sorted(self.events, key=lambda e: (e[0], e[1].type != "note_off")):
            part.append(message.copy(time=tick - now))
            now = tick
        return part


class Band:
    """One piece of music in one style."""

    def __init__(self, rng: Rng, style: Style, seconds: float) -> None:
        self.rng, self.style = rng, style
        self.tempo = rng.uniform(*style.tempo)
        self.bars = max(4, round(seconds * self.tempo / 240))
        self.key = int(rng.integers(0, 12))
        self.scale = SCALES[style.minor]
        self.turn = style.turns[rng.integers(len(style.turns))]

    def pick(self, programs: Sequence[int]) -> int:
        """Choose an instrument."""
        return int(self.rng.choice(programs))

    def degree(self, degree: int) -> int:
        """Return the semitones of a degree of the scale."""
        return self.key + self.scale[degree % 7] + 12 * (degree // 7)

    def strokes(self, rhythm: str) -> list[tuple[int, int, int]]:
        """List the strokes of a bar: tick, ticks to the next stroke, and velocity."""
        steps = (rhythm * (16 // len(rhythm)))[:16]
        hits = [step for step, stroke in enumerate(steps) if stroke != "."]
        late = int(self.style.swing * STEP)
        return [
            (step * STEP + (late if step % 4 == 2 else 0), (after - step) * STEP,
             STROKES[steps[step]])
            for step, after in zip(hits, [*hits, 16][1:], strict=True)
        ]  # fmt: skip

    def part(self, channel: int, programs: Sequence[int], volume: int, *, width: int = 50) -> Part:
        """Seat a player somewhere on the stage."""
        pan = int(np.clip(64 + self.rng.normal(0, width), 0, 127)) if width else 64
        level = int(np.clip(volume + self.rng.normal(0, 9), 40, 127))
        return Part(channel, self.pick(programs), pan, level)

    def drums(self) -> Part:
        """Play the groove, with fills and a crash between sections."""
        part = self.part(DRUM_CHANNEL, (0, 8, 16, 25, 32), 112, width=0)
        for bar in range(self.bars):
            fill = bar % 8 == 7 and self.rng.random() < 0.8
            for drum, rhythm in self.style.drums.items():
                for tick, _, velocity in self.strokes(rhythm):
                    if not fill or tick < 2 * TICKS:
                        part.note(self.rng, bar * 4 * TICKS + tick, 60, drum, velocity)
            if fill:
                for step in range(8, 16):
                    drum = int(self.rng.choice([38, 38, 41, 45, 48, 50]))
                    if self.rng.random() < 0.75:
                        tick = (bar * 16 + step) * STEP
                        part.note(self.rng, tick, 60, drum, 70 + 5 * (step - 8))
            if bar % 8 == 0 and self.rng.random() < 0.6:
                part.note(self.rng, bar * 4 * TICKS, TICKS, 49, 95)
        return part

    def bass(self) -> Part:
        """Play roots, with some fifths, octaves and fourths."""
        part = self.part(0, self.style.bass_programs, 108, width=0)
        for bar in range(self.bars):
            root = self.degree(self.turn[bar % len(self.turn)]) % 12 + 28
            for tick, length, velocity in self.strokes(self.style.bass):
                step = int(self.rng.choice([0, 0, 0, 0, 7, 12, -5]))
                note = root + (0 if tick == 0 else step)
                part.note(self.rng, bar * 4 * TICKS + tick, int(length * 0.85), note, velocity)
        return part

    def chord(self, bar: int) -> list[int]:
        """Voice a bar's chord around middle C."""
        degree = self.turn[bar % len(self.turn)]
        if self.style.power_chords:
            root = self.degree(degree) % 12 + 40
            return [root, root + 7, root + 12]
        rich = self.rng.random() < 0.3
        notes = [self.degree(degree + third) % 12 for third in (0, 2, 4, 6)[: 4 if rich else 3]]
        return sorted(55 + (note - 55) % 12 for note in notes)

    def chords(self, channel: int) -> Part:
        """Strum the chords in rhythm."""
        part = self.part(channel, self.style.comp_programs, 88)
        for bar in range(self.bars):
            notes = self.chord(bar)
            for tick, length, velocity in self.strokes(self.style.comp):
                held = int(length * self.rng.uniform(0.5, 1.0))
                for strum, note in enumerate(notes):
                    start = bar * 4 * TICKS + tick + 6 * strum
                    part.note(self.rng, start, held, note, velocity - 10)
        return part

    def pad(self) -> Part:
        """Hold the chords."""
        part = self.part(4, self.style.pads, 72, width=20)
        for bar in range(self.bars):
            for note in self.chord(bar):
                part.note(self.rng, bar * 4 * TICKS, 4 * TICKS - 20, note + 12, 66)
        return part

    def lead(self) -> Part:
        """Play a melody with vibrato and bends, in some of the sections."""
        part = self.part(5, self.style.lead_programs, 100, width=25)
        at, degree, playing = 0, int(self.rng.integers(7, 14)), True
        while at < self.bars * 4 * TICKS:
            if at % (16 * TICKS) < TICKS:
                playing = bool(self.rng.random() < 0.6)
            length = int(self.rng.choice([1, 2, 2, 2, 4, 4, 8])) * STEP * 2
            degree = int(np.clip(degree + self.rng.integers(-3, 4), 4, 18))
            if playing and self.rng.random() < 0.8:
                note = 48 + self.degree(degree)
                part.note(self.rng, at, int(length * 0.92), note, 96)
                self._bend(part, at, length)
            at += length
        return part

    def _bend(self, part: Part, at: int, length: int) -> None:
        """Add slides and vibrato to a note, with the pitch wheel."""
        slide = float(self.rng.choice([0, 0, -2, -1, 1])) * 4096 * 0.9
        depth = self.rng.uniform(0, 1200) if length >= TICKS else 0.0
        ticks_a_second = TICKS * self.tempo / 60
        rate_hz = self.rng.uniform(4.5, 6.5)
        for tick in range(0, length, 30):
            into = slide * np.exp(-tick / (0.06 * ticks_a_second))
            swell = min(1.0, tick / (0.5 * ticks_a_second))
            wave = depth * swell * np.sin(2 * np.pi * rate_hz * tick / ticks_a_second)
            part.add(at + tick, "pitchwheel", pitch=int(np.clip(into + wave, -8192, 8191)))

    def players(self) -> list[tuple[str, Part]]:
        """Let the players play, each with the name of a stem; some are left out."""
        parts = [("bass", self.bass()), ("other", self.chords(1))]
        if self.rng.random() < 0.93:
            parts.append(("drums", self.drums()))
        if self.style.power_chords or self.rng.random() < 0.4:
            parts.append(("other", self.chords(2)))
        if self.style.pads and self.rng.random() < 0.7:
            parts.append(("other", self.pad()))
        if self.rng.random() < 0.75:
            parts.append(("other", self.lead()))
        return parts

    def score(self, parts: Sequence[Part]) -> mido.MidiFile:
        """Write the score of some players."""
        conductor = mido.MidiTrack(
            [mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(self.tempo), time=0)]
        )
        song = mido.MidiFile(ticks_per_beat=TICKS)
        song.tracks.extend([conductor, *(part.to_midi() for part in parts)])
        return song

    def play(self) -> mido.MidiFile:
        """Let all play together."""
        return self.score([part for _, part in self.players()])

    def play_parts(self) -> list[mido.MidiFile]:
        """Let all play, with one file per stem of :data:`PARTS`; some may be empty."""
        players = self.players()
        return [self.score([part for which, part in players if which == stem]) for stem in PARTS]


def find_soundfonts() -> list[Path]:
    """List the installed soundfonts, each once.

    Raises
    ------
    NoInputError
        FluidSynth or a soundfont is missing.
    """
    found = {p.resolve() for f in SOUNDFONT_FOLDERS for p in f.glob("*.sf[23]")}
    if not shutil.which("fluidsynth") or not found:
        raise NoInputError(
            "FluidSynth and a soundfont are needed",
            hint="On Debian: apt install fluidsynth fluid-soundfont-gm.",
        )
    return sorted(found)


def render(songs: Sequence[mido.MidiFile], soundfont: Path, rng: Rng) -> NDArray[np.float32]:
    """Render songs with one reverb: ``(songs, samples, 2)`` at 44.1 kHz; their sum peaks at 0.7."""
    room = ["-o", f"synth.reverb.level={rng.uniform(0, 0.6):.2f}"]
    command = ["fluidsynth", "-n", "-i", "-q", "-g", "0.5", "-r", str(SAMPLE_RATE), *room]
    played = []
    for song in songs:
        with tempfile.TemporaryDirectory() as folder:
            midi, wave = Path(folder, "song.mid"), Path(folder, "song.wav")
            song.save(midi)
            subprocess.run([*command, "-F", str(wave), str(soundfont), str(midi)], check=True)
            played.append(soundfile.read(wave, dtype="float32", always_2d=True)[0])
    longest = max(len(audio) for audio in played)
    audio = np.stack([np.pad(part, ((0, longest - len(part)), (0, 0))) for part in played])
    return audio * np.float32(0.7 / max(0.01, float(np.abs(audio.sum(axis=0)).max())))


def write_ogg(audio: NDArray[np.float32], target: Path) -> None:
    """Write ``(samples, 2)`` to an Ogg Vorbis file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(target, "w", SAMPLE_RATE, 2, format="OGG", subtype="VORBIS") as file:
        # A second at a time, since longer blocks overflow the stack of libsndfile's Vorbis encoder.
        for start in range(0, len(audio), SAMPLE_RATE):
            file.write(audio[start : start + SAMPLE_RATE])


def write_corpus(
    root: Path, *, pieces: int, seconds: float, seed: int, parts: bool = False
) -> None:
    """Render pieces in all styles in turn, and write their ``manifest.tsv``.

    Parameters
    ----------
    root
        Folder to write to.
    pieces, seconds
        Their number, and the approximate length of each.
    seed
        Random seed.
    parts
        Whether a piece is a folder of three aligned files, of the roles ``song-drums``,
        ``song-bass`` and ``song-other``, instead of one file of the role ``accompaniment``.

    Raises
    ------
    NoInputError
        FluidSynth or a soundfont is missing.
    """
    soundfonts = find_soundfonts()
    root.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    names = sorted(STYLES)
    for piece in range(pieces):
        rng = np.random.default_rng((seed, piece))
        name = names[piece % len(names)]
        path = f"rendered/{piece:04}-{name.replace(' ', '-')}"
        soundfont = soundfonts[rng.integers(len(soundfonts))]
        band = Band(rng, STYLES[name], seconds)
        if parts:
            files = [(f"{path}/{stem}.ogg", f"song-{stem}") for stem in PARTS]
            group, split = path, "validation" if piece % 10 == 9 else "train"
        else:
            files = [(f"{path}.ogg", "accompaniment")]
            group, split = f"rendered-{name}", "train"
        played = render(band.play_parts() if parts else [band.play()], soundfont, rng)
        facts = {
            "group": group,
            "split": split,
            "seconds": f"{played.shape[1] / SAMPLE_RATE:.1f}",
            "licence": "MIT",
            "attribution": ATTRIBUTION,
            "source": "rendered MIDI",
        }
        for (file, role), audio in zip(files, played, strict=True):
            write_ogg(audio, root / file)
            rows.append({"path": file, "role": role, **facts})
    write_manifest(root, rows)
