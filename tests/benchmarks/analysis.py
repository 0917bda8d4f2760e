"""Judge ``karaoke analyse`` on songs that a band and a singer play from drawn scores.

    python tests/benchmarks/analysis.py 24
    python tests/benchmarks/analysis.py 48 --seed 7 --moved 4 --nothing --work DIR

The songs have nothing in common with those that the analysis has learned from but FluidSynth and
the soundfonts; ``--soundfont`` names others. Beside the command, plain methods hear the same
files: librosa's beat tracker (bars are four of its beats), Krumhansl's profiles, templates of
triads, and pYIN on 15 s of separated vocals of every fourth song. Nothing is left out at the
beginning of the songs. Needs ``fluidsynth`` with a soundfont, ``espeak-ng``, mir_eval and mido.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from composing import Score, compose
from judging import (
    Heard,
    heard_by_karaoke,
    heard_plainly,
    interval,
    note_scores,
    pyin_notes,
    scores_of,
    truth_of,
    within,
)
from playing import RATE, Arrangement, Audio, Rng, arrange, mix, play_band, play_voice

FONT_FOLDERS = tuple(Path(f"/usr/share/sounds/{kind}") for kind in ("sf2", "sf3"))
#: pYIN hears so much of a song.
PYIN_SECONDS = 15.0
MOVED_HELP = "check transposition, and the MIDI that is written, of the first M songs"
MEASURES = ("key", "tempo", "octave", "beats", "CMLt", "AMLt", "downbeats", "metre", "chords",
            "notes 50", "notes 100")  # fmt: skip


@dataclass(frozen=True)
class Song:
    """A song that was drawn: its score, how it is played, and its file."""

    number: int
    score: Score
    sound: Arrangement
    path: Path

    @property
    def title(self) -> str:
        """What is worth knowing of it."""
        score = self.score
        extras = [f"{len(score.breaks)} breaks"] if score.breaks else []
        extras += [f"moves {score.sections[-1].shift:+d}"] if score.sections[-1].shift else []
        extras += [f"tuned {100 * score.sharp:+.0f} cents"] if score.sharp else []
        return ", ".join(
            [score.style.name, score.style.metre, f"{score.bpm:.0f} bpm", score.timing, score.key,
             *extras, self.sound.soundfont.stem, self.path.suffix[1:]]
        )  # fmt: skip


def run_karaoke(*arguments: str | os.PathLike[str]) -> tuple[str, float]:
    """Run the command line.

    Returns
    -------
    str, float
        What it wrote to standard output, and the processor time of it and its children.

    Raises
    ------
    SystemExit
        It failed.
    """
    command = [sys.executable, "-m", "karaoke", *map(os.fspath, arguments)]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        _, status, taken = os.wait4(process.pid, 0)
        # Popen must know that its process is gone, or it would wait for it again.
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}\nfailed:\n{errors.read().strip()}")
        return output.read(), taken.ru_utime + taken.ru_stime


def analyse(path: Path, *options: str | os.PathLike[str]) -> tuple[dict[str, Any], float]:
    """Run ``karaoke analyse``; give what it found, and its processor time."""
    output, seconds = run_karaoke("analyse", path, "--json", *options)
    return json.loads(output)["analysis"], seconds


def write_song(path: Path, samples: Audio) -> None:
    """Write it as WAV, or as MP3 of 320 kbit/s; a file with its name is whole."""
    from karaoke.audio.ffmpeg import find_ffmpeg

    wave, part = path.with_name("part.wav"), path.with_name(f"part{path.suffix}")
    soundfile.write(wave, samples, RATE)
    if path.suffix == ".mp3":
        command = [find_ffmpeg(), "-nostdin", "-v", "error", "-y", "-i", os.fspath(wave)]
        subprocess.run([*command, "-b:a", "320k", os.fspath(part)], check=True)
        wave.unlink()
    part.replace(path)


def draw(number: int, seed: int, fonts: list[Path], folder: Path) -> Song:
    """Draw a song, and play it unless it has been."""
    rng: Rng = np.random.default_rng([seed, number])
    score = compose(rng, number)
    sound = arrange(rng, score, fonts)
    path = folder / f"song-{number}.{rng.choice(['wav', 'mp3'])}"
    song = Song(number, score, sound, path)
    if not path.exists():
        render(song, path)
    return song


def render(song: Song, path: Path, shift: int = 0) -> None:
    """Play a song, moved by semitones."""
    band = play_band(song.score, song.sound, path.parent, shift)
    voice = play_voice(song.score, song.sound, len(band), shift)
    write_song(path, mix(band, voice, song.sound.voice_db))


def separate(song: Path) -> tuple[Path, float]:
    """Separate a song as ``karaoke split`` does, once; give the folder, and the processor time."""
    folder = song.with_name("stems") / song.stem
    seconds = 0.0
    if not all((folder / f"{stem}.wav").exists() for stem in ("vocals", "instrumental")):
        _, seconds = run_karaoke("split", song, "-o", folder.parent, "--format", "wav")
    return folder, seconds


def judge(song: Song, split: bool, with_pyin: bool) -> dict[str, Any]:
    """Analyse a song by the command and plainly, and score both."""
    truth = truth_of(song.score, song.sound)
    stems, split_seconds = separate(song.path) if split else (None, 0.0)
    found, seconds = analyse(song.path, *(["--from", stems] if stems else ["--no-split"]))
    heard = heard_by_karaoke(found)
    ours, plain = scores_of(truth, heard), scores_of(truth, heard_plainly(song.path))
    if stems:
        ours |= note_scores(truth.notes, heard.notes)
        if with_pyin:
            ours_there, plain_there = pyin_scores(stems / "vocals.wav", truth, heard)
            ours |= {f"{name} there": score for name, score in ours_there.items()}
            plain |= {f"{name} there": score for name, score in plain_there.items()}
    return {"number": song.number, "title": song.title, "cpu": seconds, "split": split_seconds,
            "karaoke": ours, "plain": plain, "said": [heard.key, heard.metre, heard.bpm],
            "seconds": float(song.score.beats[-1])}  # fmt: skip


def pyin_scores(vocals: Path, truth: Heard, heard: Heard) -> tuple[dict[str, float], ...]:
    """Compare notes of the command and of pYIN in the seconds from where somebody sings."""
    first = max(0.0, float(truth.notes[0][0, 0]) - 0.5)
    span = first, first + PYIN_SECONDS
    plain = pyin_notes(vocals, *span)
    there = within(truth.notes, *span)
    return (note_scores(there, within(heard.notes, *span)),
            note_scores(there, within(plain, *span)))  # fmt: skip


def line(result: dict[str, Any]) -> str:
    """Write a song's scores in a line, those of the plain methods after a bar."""
    rows = []
    for who in ("karaoke", "plain"):
        scores = result[who]
        rows.append(" ".join(f"{scores[m]:.2f}" if m in scores else "   -" for m in MEASURES))
    key, metre, bpm = result["said"]
    said = f"{key}, {metre}, {bpm} bpm"
    return f"{result['number']:3d} {rows[0]} | {rows[1]} | {result['title']} -> {said}"


def table(results: Sequence[dict[str, Any]]) -> str:
    """Write means with their intervals."""
    rows = [f"{'mean of ' + str(len(results)):16}{'karaoke':>22}{'plain':>22}{'songs':>7}"]
    there = [f"notes {ms} there" for ms in (50, 100)]
    for measure in (*MEASURES, *there):
        texts, count = [], 0
        for who in ("karaoke", "plain"):
            values = [result[who][measure] for result in results if measure in result[who]]
            if values:
                low, high = interval(values)
                texts.append(f"{np.mean(values):.3f} [{low:.2f}, {high:.2f}]")
                count = max(count, len(values))
            else:
                texts.append("-")
        rows.append(f"{measure:16}{texts[0]:>22}{texts[1]:>22}{count:7d}")
    cpu, split, length = (np.mean([result[k] for result in results])
                          for k in ("cpu", "split", "seconds"))  # fmt: skip
    rows.append(f"{cpu:.1f} s of processor time for songs of {length:.0f} s, and {split:.1f} s to"
                " separate those that were not yet")  # fmt: skip
    return "\n".join(rows)


def find_fonts() -> list[Path]:
    """List the installed soundfonts, each once."""
    found = {path.resolve() for folder in FONT_FOLDERS for path in folder.glob("*.sf[23]")}
    return sorted(found)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Judge karaoke analyse on drawn songs.")
    parser.add_argument("songs", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the clock")
    parser.add_argument("--first", type=int, default=0, help="number of the first song")
    parser.add_argument(
        "--work",
        type=Path,
        help="keep songs, stems and results here; what is there is judged again",
    )
    parser.add_argument("--no-split", action="store_true", help="analyse the songs unseparated")
    parser.add_argument("--pyin-every", type=int, default=4, metavar="K", help="0 for never")
    parser.add_argument("--moved", type=int, default=0, metavar="M", help=MOVED_HELP)
    parser.add_argument("--nothing", action="store_true", help="noise, speech, silence, drums")
    parser.add_argument("--soundfont", type=Path, action="append", metavar="FILE")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw songs, judge, print."""
    from analysis_checks import check_midi, check_moved, check_nothing

    options = parse(arguments)
    fonts = options.soundfont or find_fonts()
    if not fonts:
        raise SystemExit("no soundfont found: install fluid-soundfont-gm, or use --soundfont")
    print(f"seed {options.seed}; scores: {', '.join(MEASURES)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="karaoke-analysis-") as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = []
        for number in range(options.first, options.first + options.songs):
            song = draw(number, options.seed, fonts, folder)
            every = options.pyin_every
            results.append(judge(song, not options.no_split, bool(every) and number % every == 0))
            print(line(results[-1]), flush=True)
            with open(folder / "results.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps({"seed": options.seed, **results[-1]}) + "\n")
            if number - options.first < options.moved:
                check_moved(song, np.random.default_rng([options.seed, number, 1]))
                check_midi(song)
            if not options.work:
                song.path.unlink()
                shutil.rmtree(song.path.with_name("stems"), ignore_errors=True)
        if results:
            print(table(results))
        if options.nothing:
            check_nothing(options.seed, fonts, folder)


if __name__ == "__main__":
    main()
