"""``karaoke make``, measured on the files that it wrote."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from karaoke.audio import load_audio
from karaoke.audio.blocks import Block
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.making.hearing import read_key

Run = Callable[..., subprocess.CompletedProcess[str]]
RATE = 44_100
SECONDS = 8.0


def save(path: Path, audio: Block, rate: int = RATE) -> Path:
    """Write a float WAV by soundfile alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.T, rate, subtype="FLOAT")
    return path


@pytest.fixture
def times() -> NDArray[np.float64]:
    """Give the times of the samples of a song."""
    return np.arange(round(SECONDS * RATE)) / RATE


def with_stems(folder: Path, voice: Block, band: Block) -> list[object]:
    """Write a song and its stems; give the arguments that name them."""
    save(folder / "stems" / "vocals.wav", voice)
    save(folder / "stems" / "instrumental.wav", band)
    return [save(folder / "song.wav", voice + band), "--from", folder / "stems"]


def make(run_karaoke: Run, folder: Path, *arguments: object) -> tuple[Block, dict[str, object]]:
    """Run ``karaoke make`` with JSON, and decode the one file that it writes, by ffmpeg."""
    options = ["-o", folder / "made", "--json", "--overwrite", "--no-lyrics"]
    done = run_karaoke("make", *arguments, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    path = report["outputs"]["karaoke"]["path"]
    raw = subprocess.run(
        [find_ffmpeg(), "-v", "error", "-i", path, "-f", "f32le", "-c:a", "pcm_f32le", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    channels = soundfile.info(path).channels if path.endswith(("wav", "flac")) else 2
    return np.frombuffer(raw, "<f4").reshape(-1, channels).T, report


def pitch_hz(tone: NDArray[np.float32]) -> float:
    """Find the frequency of a steady tone to a fraction of a cent: of its lowest strong partial.

    Where formants stay as the pitch moves, a higher partial may be the strongest.
    """
    middle = tone[len(tone) // 4 : -len(tone) // 4]
    bins_per_hz = (1 << 21) / RATE
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 21))
    lowest = int(np.argmax(spectrum > 0.35 * spectrum.max()))
    peak = lowest + int(np.argmax(spectrum[lowest : lowest + round(5 * bins_per_hz)]))
    for part in (3, 2):
        # The first partial may be soft; but it is where a third or a half of another is.
        first = round(peak / part - bins_per_hz)
        there = spectrum[first : first + round(2 * bins_per_hz)]
        if there.max() > 0.1 * spectrum.max():
            return (first + int(np.argmax(there))) / bins_per_hz
    return peak / bins_per_hz


def onsets(clicks: NDArray[np.float32], near: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find when clicks reach half their height, in seconds, near where they should.

    Sound that is made faster has an echo of up to a third of an attack up to 20 ms before it.
    """
    level, reach = np.abs(clicks), round(0.06 * RATE)
    found = []
    for time in near:
        at = round(time * RATE)
        around = level[max(at - reach, 0) : at + reach]
        found.append((max(at - reach, 0) + int(np.argmax(around > 0.5 * around.max()))) / RATE)
    return np.array(found)


def click_track(times: NDArray[np.float64], starts: NDArray[np.float64]) -> Block:
    """Make noise bursts that begin at times, in stereo."""
    rng = np.random.default_rng(0)
    track = np.zeros((2, len(times)), np.float32)
    for start in starts:
        at = round(start * RATE)
        track[:, at : at + 400] = 0.5 * rng.standard_normal(400) * np.exp(-np.arange(400) / 80)
    return track


def test_the_band_alone_is_the_instrumental_and_the_guide_makes_it_the_song(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    model = ["-n", tiny_model, "--format", "wav", "--bit-depth", "24"]
    done = run_karaoke("split", song, *model[:2], "-o", tmp_path / "split", "-q")
    _, instrumental = (Path(line) for line in done.stdout.splitlines())
    made, _ = make(run_karaoke, tmp_path, song, *model)
    split, _ = load_audio(instrumental)
    assert np.array_equal(made, split), "bit by bit"
    whole, report = make(run_karaoke, tmp_path, song, *model, "--guide", "0")
    mixture, _ = load_audio(song)
    assert np.abs(whole - mixture).max() < 10 ** (-120 / 20)
    assert report["command"] == "make" and report["warnings"] == []
    assert sorted(p.name for p in (tmp_path / "made" / "song").iterdir()) == [
        ".song.karaoke.json",
        "song (karaoke).wav",
    ]


def test_the_guide_has_the_level_that_was_asked_for(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator
) -> None:
    voice, band = (0.1 * rng.standard_normal((2, 2, 60_000))).astype(np.float32)
    level = round(float(rng.uniform(-30, 3)), 1)
    made, _ = make(run_karaoke, tmp_path, *with_stems(tmp_path, voice, band),
                   "--guide", level, "--format", "wav", "--bit-depth", "32f")  # fmt: skip
    sources = np.stack([voice.ravel(), band.ravel()], axis=1)
    (of_voice, of_band), *_ = np.linalg.lstsq(sources, made.ravel(), rcond=None)
    assert 20 * math.log10(of_voice) == pytest.approx(level, abs=0.05)
    assert of_band == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("wave", ["sine", "sawtooth"])
def test_the_key_is_right_to_the_cent(
    run_karaoke: Run,
    tmp_path: Path,
    rng: np.random.Generator,
    times: NDArray[np.float64],
    wave: str,
) -> None:
    semitones = int(rng.choice([-12, -7, -5, -3, -1, 1, 2, 4, 6, 12]))
    voice_hz, band_hz = float(rng.uniform(150, 500)), float(rng.uniform(700, 1200))

    def tone(hz: float) -> Block:
        # Partials up to half the sample rate: those beyond it would come back as other tones.
        count = 1 if wave == "sine" else int(RATE / 2 / hz)
        one = sum(np.sin(2 * np.pi * k * hz * times) / k for k in range(1, count + 1))
        return np.tile(0.2 * one, (2, 1)).astype(np.float32)

    silence = np.zeros((2, len(times)), np.float32)
    for stems, hz, cents in (
        ((tone(voice_hz), silence), voice_hz, 2),
        ((silence, tone(band_hz)), band_hz, 3),
    ):
        folder = tmp_path / f"{hz:.0f}"
        made, _ = make(run_karaoke, folder, *with_stems(folder, *stems), "--guide", "0",
                       "--key", semitones, "--format", "wav")  # fmt: skip
        assert made.shape[1] == len(times)
        found = 1200 * math.log2(pitch_hz(made[0]) / hz)
        # A single tone for a band is the hardest case.
        assert found == pytest.approx(100 * semitones, abs=cents), (semitones, hz)


def test_the_tempo_is_right_and_in_time(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator, times: NDArray[np.float64]
) -> None:
    tempo = round(float(rng.choice([rng.uniform(0.6, 0.95), rng.uniform(1.05, 1.6)])), 3)
    starts = np.arange(0.5, SECONDS - 0.5, 0.5) + rng.uniform(0, 0.1, round(SECONDS * 2) - 2)
    clicks = click_track(times, starts)
    made, _ = make(run_karaoke, tmp_path, *with_stems(tmp_path, 0 * clicks, clicks),
                   "--tempo", tempo, "--format", "wav")  # fmt: skip
    assert made.shape[1] == round(len(times) / tempo)
    error = onsets(made[0], starts / tempo) - starts / tempo
    assert np.abs(error).max() < 0.010, (tempo, error)
    assert abs(np.median(error)) < 0.003, (tempo, error)


def test_voice_and_band_stay_together(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator, times: NDArray[np.float64]
) -> None:
    tempo, semitones = round(float(rng.uniform(0.7, 1.5)), 2), int(rng.integers(-9, 10))
    starts = np.arange(0.5, SECONDS - 0.5, 0.5)
    clicks, silence = click_track(times, starts), np.zeros((2, len(times)), np.float32)
    notes = silence.copy()
    for start in starts:
        at, hz = round(start * RATE), rng.uniform(120, 400)
        t = np.arange(round(rng.uniform(0.15, 0.25) * RATE)) / RATE
        one = sum(np.cos(2 * np.pi * (k * hz * t + rng.random())) / k for k in range(1, 9))
        notes[:, at : at + len(t)] = 0.1 * one * np.sin(np.pi * t / t[-1])
    options = ["-g", "0", "-k", semitones, "-t", tempo, "--format", "wav"]

    def centres(sound: NDArray[np.float32], speed: float) -> NDArray[np.float64]:
        """Find the middle of the energy of notes, in seconds of the song."""
        found = []
        for start in starts:
            around = sound[
                round((start - 0.1) / speed * RATE) : round((start + 0.35) / speed * RATE)
            ]
            energy = around.astype(np.float64) ** 2
            found.append(
                start - 0.1 + energy @ np.arange(len(energy)) / energy.sum() / RATE * speed
            )
        return np.array(found)

    made, _ = make(
        run_karaoke, tmp_path / "v", *with_stems(tmp_path / "v", notes, silence), *options
    )
    late = (centres(made[0], tempo) - centres(notes[0], 1)) / tempo
    # High and low notes are 10 to 20 ms off to either side; a median falls on one of the two.
    assert abs(np.mean(late)) < 0.010, (semitones, tempo, late)
    made, _ = make(
        run_karaoke, tmp_path / "b", *with_stems(tmp_path / "b", silence, clicks), *options
    )
    late = onsets(made[0], starts / tempo) - starts / tempo
    assert abs(np.median(late)) < 0.010, (semitones, tempo, late)


def test_loudness_is_met_or_said_to_be_out_of_reach(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator
) -> None:
    def loudness(path: str) -> tuple[float, float]:
        done = subprocess.run(
            [find_ffmpeg(), "-hide_banner", "-nostats", "-i", path, "-af",
             "ebur128=peak=true:framelog=quiet", "-f", "null", "-"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        summary = done.stderr[done.stderr.rindex("Summary:") :]
        found = [re.search(rf"{name}: +(-?[\d.]+)", summary) for name in ("I", "Peak")]
        return tuple(float(one[1]) for one in found if one)  # type: ignore[return-value]

    voice = np.zeros((2, 5 * RATE), np.float32)
    band = (0.05 * rng.standard_normal(voice.shape)).astype(np.float32)
    target = round(float(rng.uniform(-30, -20)), 1)
    stems = with_stems(tmp_path, voice, band)
    _, report = make(run_karaoke, tmp_path, *stems, "--loudness", target, "--format", "wav")
    found, _ = loudness(report["outputs"]["karaoke"]["path"])  # type: ignore[index]
    assert found == pytest.approx(target, abs=0.2) and report["warnings"] == []
    _, report = make(run_karaoke, tmp_path, *stems, "--loudness", "-5", "--format", "wav")
    _, peak = loudness(report["outputs"]["karaoke"]["path"])  # type: ignore[index]
    assert peak <= -0.9
    assert "peaks allow" in str(report["warnings"])


def test_an_excerpt_is_a_part_of_the_whole(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    options = ["-n", tiny_model, "--guide", "-6", "--format", "wav", "--bit-depth", "32f"]
    whole, _ = make(run_karaoke, tmp_path, song, *options)
    part, report = make(run_karaoke, tmp_path, song, *options, "--excerpt", "0:07.5-12")
    assert part.shape[1] == round(4.5 * RATE) and report["warnings"] == []
    middle = slice(round(1.5 * RATE), round(3 * RATE))
    beside = whole[:, round(7.5 * RATE) :][:, middle]
    # Segments of the model lie otherwise; what it hears is the same.
    assert np.abs(part[:, middle] - beside).max() < 0.02
    rest, _ = make(run_karaoke, tmp_path, song, *options, "--excerpt", "20-")
    assert rest.shape[1] == whole.shape[1] - 20 * RATE


@pytest.mark.parametrize("channels", [1, 6])
def test_other_channels(run_karaoke: Run, tiny_model: Path, tmp_path: Path, channels: int) -> None:
    audio = (0.1 * np.random.default_rng(1).standard_normal((channels, 30_000))).astype(np.float32)
    song = save(tmp_path / "song.wav", audio)
    made, _ = make(run_karaoke, tmp_path, song, "-n", tiny_model, "-k", "2", "-t", "1.1",
                   "-g", "-12", "--format", "wav")  # fmt: skip
    assert made.shape == (channels, round(30_000 / 1.1))


def test_tags_say_that_it_is_karaoke(
    run_karaoke: Run, transcode: Callable[..., Path], song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    fields = ["-metadata", "title=A Song", "-metadata", "artist=Somebody"]
    tagged = transcode(song, "tagged.mp3", *fields, "-c", "copy")
    done = run_karaoke("make", tagged, "-n", tiny_model, "-o", tmp_path / "made", "-q")
    mutagen = pytest.importorskip("mutagen")
    file = mutagen.File(done.stdout.strip(), easy=True)
    assert file["title"] == ["A Song (Karaoke)"] and file["artist"] == ["Somebody"]


@pytest.mark.parametrize(
    ("key", "tempo", "expected"),
    [
        (0, 1.0, {"initialkey": ["Bbm"], "bpm": ["120"]}),
        (2, 1.0, {"initialkey": ["Cm"], "bpm": ["120"]}),
        (0, 0.9, {"initialkey": ["Bbm"], "bpm": ["108"]}),
    ],
)
def test_tags_say_the_singers_key_and_tempo(
    run_karaoke: Run,
    transcode: Callable[..., Path],
    tmp_path: Path,
    key: int,
    tempo: float,
    expected: dict[str, list[str]],
) -> None:
    silence = np.zeros((2, RATE), np.float32)
    arguments = with_stems(tmp_path, silence, silence)
    timed = "[00:00.50]words"
    fields = ["-metadata", "key=Bbm", "-metadata", "TBPM=120", "-metadata", f"LYRICS={timed}"]
    tagged = transcode(arguments[0], "tagged.flac", *fields)
    done = run_karaoke("make", tagged, *arguments[1:], "-o", tmp_path / "made", "--format", "flac",
                       "--key", key, "--tempo", tempo, "--to", "audio", "-q")  # fmt: skip
    mutagen = pytest.importorskip("mutagen")
    found = mutagen.File(done.stdout.strip())
    for name, others in (("initialkey", ["key"]), ("bpm", ["tbpm"])):
        assert next(found[n] for n in [name, *others] if n in found) == expected[name]
    # Words with the times of the song would light up at the wrong time.
    assert found.get("lyrics") == ([timed] if tempo == 1 else None)


@pytest.mark.parametrize(
    ("text", "number"), [("C", 0), ("F#m", 18), ("Bb", 10), ("A minor", 21), ("G major", 7)]
)
def test_keys_are_read_as_tags_have_them(text: str, number: int) -> None:
    found = read_key(text)
    assert found is not None and found.tonic + 12 * found.is_minor == number
    assert all(read_key(other) is None for other in ("8A", "H", "", "o", "Cb", "C dorian"))


def test_what_was_made_is_skipped_and_what_differs_is_refused(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = ["make", song, "-n", tiny_model, "-o", tmp_path / "made", "--no-lyrics"]
    assert run_karaoke(*command, "-q").returncode == 0
    again = run_karaoke(*command, "--skip-existing")
    assert again.returncode == 0 and "is done already" in again.stderr and again.stdout == ""
    other = run_karaoke(*command, "--skip-existing", "--key", "1")
    assert other.returncode != 0 and "not what this command would write" in other.stderr
    planned = run_karaoke("make", song, "-n", tiny_model, "-o", tmp_path / "new", "--dry-run")
    assert "would be made" in planned.stderr and not (tmp_path / "new").exists()
    assert len(planned.stdout.splitlines()) == 2, "words lie beside the song that ships"


def test_an_excerpt_that_was_made_is_skipped(run_karaoke: Run, tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 2, RATE)).astype(np.float32)
    command = ["make", *with_stems(tmp_path, *noise), "-o", tmp_path / "made", "--to", "audio"]
    excerpt = ["--excerpt", "0.2-0.8", "--skip-existing"]
    for said in ("of music in", "is done already"):
        done = run_karaoke(*command, *excerpt)
        assert done.returncode == 0 and said in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--guide", "loud"], 2, "--guide loud"),
        (["--guide", "40"], 2, "from -60 to 12"),
        (["--key", "13"], 2, "from -12 to 12"),
        (["--key", "nan"], 2, "from -12 to 12"),
        (["--tempo", "fast"], 2, "--tempo fast"),
        (["--tempo", "300%"], 2, "0.5 to 2"),
        (["--loudness", "-3"], 2, "from -40 to -5"),
        (["--excerpt", "10"], 2, "0:40-1:10"),
        (["--excerpt", "20-10"], 2, "ends before it begins"),
        (["--excerpt", "a-b"], 2, "not a part"),
        (["--excerpt", "5:00-"], 2, "over before the excerpt begins"),
        (["--from", "nowhere"], 66, "has no instrumental"),
        (["-o", "-"], 2, "writes files only"),
    ],
)
def test_mistakes_are_one_clear_line(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path,
    arguments: list[str], code: int, words: str,
) -> None:  # fmt: skip
    done = run_karaoke("make", song, "-n", tiny_model, "-q", *arguments, cwd=tmp_path)
    assert done.stderr.startswith("karaoke: ") and done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr and done.stdout == ""
    assert done.returncode == code, done.stderr
    assert not list(tmp_path.rglob("*.m4a"))
