"""The folder for singing games that ``karaoke make --to ultrastar`` writes, measured."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.lyrics import Lyrics, Timeline, write_enhanced_lrc
from karaoke.making.game import label_of
from tests.singing import RATE as SUNG_RATE
from tests.singing import Score, draw_long_score, play, sing
from tests.test_lyrics_writing import Note, parse_by_the_specification
from tests.test_wording import lyrics_of

Run = Callable[..., subprocess.CompletedProcess[str]]
#: That Opus has, so that nothing is resampled between truth and measurement.
RATE = 48_000


@pytest.fixture
def seed() -> int:
    """Draw another song each time; the seed is printed where a test fails."""
    return int(np.random.SeedSequence().generate_state(1)[0])


def a_song(folder: Path, seed: int, seconds: float) -> dict[str, NDArray[np.float64]]:
    """Write a song of two noises, and its stems; give all three."""
    voice, band = 0.1 * np.random.default_rng(seed).standard_normal((2, round(seconds * RATE), 2))
    sounds = {"song": voice + band, "stems/vocals": voice, "stems/instrumental": band}
    for name, sound in sounds.items():
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound, RATE, subtype="FLOAT")
    return {name.removeprefix("stems/"): sound for name, sound in sounds.items()}


def make_folder(
    run_karaoke: Run, folder: Path, *arguments: object
) -> tuple[dict[str, str], list[list[Note]]]:
    """Make the folder of a song; give headers, whose files all exist, and phrases."""
    done = run_karaoke("make", folder / "song.wav", "--from", folder / "stems", "-o",
                       folder / "made", "--to", "ultrastar", "--json", *arguments)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = json.loads(done.stdout)["outputs"]
    text = Path(outputs["ultrastar"]["path"])
    headers, voices = parse_by_the_specification(text.read_bytes())
    named = [headers[name] for name in ("MP3", "VOCALS", "INSTRUMENTAL")]
    named += [headers[name] for name in ("COVER", "BACKGROUND", "VIDEO") if name in headers]
    written = {Path(entry["path"]) for entry in outputs.values()}
    assert written == {text, *(text.parent / name for name in named)}
    assert set(text.parent.iterdir()) == written
    assert text.stem == text.parent.name
    return headers, voices[1]


def decode(path: Path) -> NDArray[np.float32]:
    """Decode a sound ``(samples, 2)`` by ffmpeg."""
    raw = subprocess.run(
        [find_ffmpeg(), "-v", "error", "-i", path, "-f", "f32le", "-ac", "2", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    return np.frombuffer(raw, "<f4").reshape(-1, 2)


def lag(found: NDArray[np.float32], truth: NDArray[np.float64]) -> int:
    """Tell by how many samples a sound is late, by cross-correlation."""
    size = 1 << (len(truth) + len(found)).bit_length()
    spectra = np.fft.rfft(found[:, 0], size) * np.conj(np.fft.rfft(truth[:, 0], size))
    at = int(np.argmax(np.fft.irfft(spectra, size)))
    return at - size if at > size // 2 else at


@pytest.mark.parametrize("format_", ["opus", "flac", "m4a"])
def test_nothing_is_late_by_a_sample(
    run_karaoke: Run, tmp_path: Path, seed: int, format_: str
) -> None:
    sounds = a_song(tmp_path, seed, 4)
    (tmp_path / "song.lrc").write_text("[00:01.00]one two\n")
    headers, _ = make_folder(run_karaoke, tmp_path, "--format", format_)
    folder = next((tmp_path / "made" / "song").glob("*/"))
    names = {"song": "MP3", "vocals": "VOCALS", "instrumental": "INSTRUMENTAL"}
    found = {name: decode(folder / headers[header]) for name, header in names.items()}
    for name, truth in sounds.items():
        assert lag(found[name], truth) == 0, (seed, name)
        assert len(found[name]) == len(truth), (seed, name)
    wanted = "flac" if format_ == "flac" else "opus"
    assert {Path(headers[header]).suffix for header in names.values()} == {f".{wanted}"}
    if wanted == "flac":
        together = found["vocals"] + found["instrumental"]
        assert np.abs(together - found["song"]).max() < 4 / (1 << 23), seed


@pytest.mark.parametrize(("tempo", "offset"), [(1.0, 0.0), (0.9, 0.25)])
def test_notes_begin_when_syllables_do(
    run_karaoke: Run, tmp_path: Path, seed: int, tempo: float, offset: float
) -> None:
    rng = np.random.default_rng(seed)
    a_song(tmp_path, seed, 7)
    at, lines = 0.6, []
    for _ in range(3):
        gaps = np.round(rng.uniform(0.15, 0.5, int(rng.integers(2, 5))), 2)
        times = [round(float(t), 2) for t in at + np.concatenate([[0], np.cumsum(gaps)])]
        lines.append(times)
        at = times[-1] + float(rng.uniform(0.02, 0.3))
    text = ""
    for times in lines:
        words = "".join(f"<00:{t:05.2f}>word " for t in times[:-1])
        text += f"[00:{times[0]:05.2f}]{words.rstrip()}<00:{times[-1]:05.2f}>\n"
    (tmp_path / "song.lrc").write_text(text)
    headers, phrases = make_folder(run_karaoke, tmp_path, "-t", tempo, "--offset", offset)
    grid = 15 / float(headers["BPM"])
    assert grid <= 0.02
    assert len(phrases) == len(lines)
    for notes, times in zip(phrases, lines, strict=True):
        due = [(t + offset) / tempo for t in times]
        assert [note.start for note in notes] == pytest.approx(due[:-1], abs=grid / 2 + 0.001), seed
        assert notes[-1].end == pytest.approx(due[-1], abs=grid + 0.001), seed
        assert {note.kind for note in notes} == {"F"}, "nobody knows their pitch"
        assert [note.text for note in notes] == ["word "] * (len(notes) - 1) + ["word"]


def test_lines_without_times_of_words_are_filled(
    run_karaoke: Run, tmp_path: Path, seed: int
) -> None:
    a_song(tmp_path, seed, 5)
    (tmp_path / "song.lrc").write_text("[00:01.00]one two three\n[00:03.00]four\n[00:04.00]\n")
    _, (first, second) = make_folder(run_karaoke, tmp_path)
    assert [note.text.strip() for note in first + second] == ["one", "two", "three", "four"]
    starts = [note.start for note in first]
    assert starts[0] == pytest.approx(1, abs=0.011) and starts == sorted(set(starts))
    assert first[-1].end <= 3.011 and second[0].start == pytest.approx(3, abs=0.011)


def test_pitches_that_are_known_are_notes(run_karaoke: Run, tmp_path: Path, seed: int) -> None:
    a_song(tmp_path, seed, 4)
    pitches = [int(p) for p in np.random.default_rng(seed).integers(-12, 13, 3)]
    notes = "".join(f": {10 * n} 5 {pitch} la\n" for n, pitch in enumerate(pitches))
    (tmp_path / "song.txt").write_text(
        "#TITLE:A/B: C?\n#ARTIST:Some  One\n#MP3:no.mp3\n#VIDEO:no.mp4\n#BPM:300\n#GAP:500\n"
        f"{notes}E\n"
    )
    headers, (phrase,) = make_folder(run_karaoke, tmp_path)
    assert [(note.kind, note.pitch) for note in phrase] == [(":", pitch) for pitch in pitches], seed
    assert headers["TITLE"] == "A/B: C?" and headers["MP3"] == "Some One - A_B_ C_.opus"
    assert "VIDEO" not in headers and headers["VERSION"] == "1.1.0"


def write_sung(folder: Path, rng: np.random.Generator, score: Score) -> None:
    """Write a song that is sung to a band, and its stems."""
    sounds = {"vocals": sing(rng, score), "instrumental": play(rng, score)}
    (folder / "stems").mkdir()
    for name, sound in {**sounds, "../song": sum(sounds.values())}.items():
        stereo = np.repeat(np.asarray(sound)[:, None], 2, axis=1)
        soundfile.write(folder / "stems" / f"{name}.wav", stereo, SUNG_RATE, subtype="FLOAT")


@pytest.mark.parametrize(("semitones", "tempo"), [(0, 1.0), (3, 0.9)])
def test_pitches_are_heard(
    run_karaoke: Run, tmp_path: Path, seed: int, semitones: int, tempo: float
) -> None:
    rng = np.random.default_rng(seed)
    score = draw_long_score(rng, seconds=16.0, fewest=12)
    write_sung(tmp_path, rng, score)
    offset = float(rng.uniform(-1, 1))
    lyrics = lyrics_of(score, parted=True, late=[-offset] * len(score.notes))
    (tmp_path / "song.lrc").write_bytes(write_enhanced_lrc(lyrics, Timeline()))
    _, phrases = make_folder(run_karaoke, tmp_path, "-k", semitones, "--offset", offset,
                                   "-t", tempo)  # fmt: skip
    assert len(phrases) == score.line_count
    notes = [note for phrase in phrases for note in phrase]
    text = "".join(note.text for note in notes if note.text.strip() != "~")
    assert text.replace(" ", "") == score.text.replace(" ", "").replace("\n", "")
    right = 0
    for sung in score.notes:
        middle = (sung.start + sung.seconds / 2) / tempo
        at = [note for note in notes if note.start <= middle < note.end and note.kind == ":"]
        right += any(note.pitch == sung.note + semitones - 60 for note in at)
    assert right > 0.8 * len(score.notes), (seed, right, len(score.notes))


def test_kar_has_the_notes_of_the_folder(run_karaoke: Run, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = draw_long_score(rng, seconds=10.0, fewest=6)
    write_sung(tmp_path, rng, score)
    (tmp_path / "song.lrc").write_bytes(
        write_enhanced_lrc(lyrics_of(score, parted=True), Timeline())
    )
    command = ["make", tmp_path / "song.wav", "--from", tmp_path / "stems", "-o", tmp_path / "made"]
    done = run_karaoke(*command, "--to", "kar", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    midi = mido.MidiFile(json.loads(done.stdout)["outputs"]["kar"]["path"])
    seconds, pitches = 0.0, []
    for message in midi:
        seconds += message.time
        if message.type == "note_on" and message.velocity:
            pitches.append((seconds, message.note))
    right = [any(abs(n.start - at) < 0.1 and n.note == pitch for at, pitch in pitches)
             for n in score.notes]  # fmt: skip
    assert np.mean(right) > 0.6, (seed, pitches)


def test_a_folder_without_the_notes_that_are_heard_now_is_not_done(
    run_karaoke: Run, tmp_path: Path, seed: int
) -> None:
    a_song(tmp_path, seed, 3)
    (tmp_path / "song.lrc").write_text("[00:01.00]one two\n")
    make_folder(run_karaoke, tmp_path)
    command = ["make", tmp_path / "song.wav", "--from", tmp_path / "stems", "-o", tmp_path / "made",
               "--to", "ultrastar", "--skip-existing"]  # fmt: skip
    assert "is done already" in run_karaoke(*command).stderr
    (manifest,) = (tmp_path / "made").rglob(".*.karaoke.json")
    facts = json.loads(manifest.read_text())
    assert facts["settings"].pop("pitches_heard") is True
    manifest.write_text(json.dumps(facts))
    done = run_karaoke(*command)
    assert done.returncode == 73 and "not what this command would write" in done.stderr


def test_known_pitches_move_with_the_key(run_karaoke: Run, tmp_path: Path, seed: int) -> None:
    a_song(tmp_path, seed, 3)
    (tmp_path / "song.txt").write_text("#TITLE:A\n#ARTIST:B\n#BPM:300\n#GAP:500\n: 0 9 4 la\nE\n")
    for key, pitch in (("-2", 2), ("0.4", 4)):
        _, ((note,),) = make_folder(run_karaoke, tmp_path, "-k", key, "--overwrite")
        assert note.pitch == pitch


def test_the_cover_lies_beside_the_sound(run_karaoke: Run, tmp_path: Path, seed: int) -> None:
    a_song(tmp_path, seed, 3)
    (tmp_path / "words.lrc").write_text("[00:01.00]one two\n")
    picture = ["-f", "lavfi", "-i", "color=c=red:s=64x64:d=1:r=1"]
    subprocess.run(
        [find_ffmpeg(), "-v", "error", "-i", tmp_path / "song.wav", *picture, "-map", "0",
         "-map", "1", "-c:v", "png", "-frames:v", "1", "-disposition:v", "attached_pic",
         "-metadata", "title=Title", "-metadata", "artist=Artist", tmp_path / "tagged.flac"],
        check=True,
    )  # fmt: skip
    done = run_karaoke("make", tmp_path / "tagged.flac", "--from", tmp_path / "stems", "--lyrics",
                       tmp_path / "words.lrc", "-o", tmp_path / "made", "--to", "ultrastar,audio",
                       "--name", "{title} {stem}.{ext}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    paths = [Path(line).relative_to(tmp_path / "made") for line in done.stdout.splitlines()]
    label = "Artist - Title"
    assert list(map(str, paths)) == ["tagged karaoke.m4a", *(
        f"{label}/{label}{ending}"
        for ending in (".txt", ".opus", " [VOC].opus", " [INSTR].opus", " [CO].png")
    )]  # fmt: skip
    assert (tmp_path / "made" / paths[-1]).read_bytes().startswith(b"\x89PNG")
    assert f"#COVER:{label} [CO].png" in (tmp_path / "made" / paths[1]).read_text().splitlines()


def test_a_folder_is_planned_skipped_and_refused_as_files_are(
    run_karaoke: Run, tmp_path: Path, seed: int
) -> None:
    a_song(tmp_path, seed, 2)
    (tmp_path / "song.lrc").write_text("[00:01.00]one two\n")
    command = ["make", tmp_path / "song.wav", "--from", tmp_path / "stems", "--to", "ultrastar,cdg",
               "-o", tmp_path / "made"]  # fmt: skip
    planned = run_karaoke(*command, "--dry-run")
    assert len(planned.stdout.splitlines()) == 5 and not (tmp_path / "made").exists()
    done = run_karaoke(*command)
    assert done.stdout == planned.stdout, done.stderr
    again = run_karaoke(*command, "--skip-existing")
    assert "is done already" in again.stderr and again.stdout == ""
    refused = run_karaoke(*command)
    assert refused.returncode == 73 and "exists" in refused.stderr
    folder = next((tmp_path / "made" / "song").glob("*/"))
    (folder / "song.txt").unlink()
    (tmp_path / "made" / "song" / "song (karaoke).zip").unlink()
    part = run_karaoke(*command, "--skip-existing")
    assert part.returncode == 73 and not (folder / "song.txt").exists(), "all or nothing"
    assert run_karaoke(*command, "--overwrite").returncode == 0
    assert (folder / "song.txt").exists()


@pytest.mark.parametrize(
    ("artist", "title", "label"),
    [
        ("A", "B", "A - B"),
        ("", "B", "file"),
        ("AC/DC", "T.N.T.", "AC_DC - T.N.T_"),
        ("..", "x", "- x"),
        ("\u00e9" * 300, "x", None),
        ("a\nb", "  c\td ", "a b - c d"),
        ("CON", "", "file"),
    ],
)
def test_labels_are_names_of_files(artist: str, title: str, label: str | None) -> None:
    found = label_of(Lyrics((), title, artist), Path("file.mp3"))
    assert label is None or found == label
    assert 0 < len(f"{found} [INSTR].opus".encode()) <= 255 and "/" not in found
