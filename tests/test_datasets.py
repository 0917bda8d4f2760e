"""Readers of data sets, each on a small one in its own format."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from karaoke.audio import Block
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.errors import (
    CorpusError,
    ExitCode,
    KaraokeError,
    NoInputError,
    NotAudioError,
    UsageError,
)
from karaoke.evaluation.datasets import Piece, find_pieces
from karaoke.evaluation.songs import load_reference

RATE = 44100
NAMES = ("drums", "bass", "other", "vocals")
Stems = dict[str, Block]


@pytest.fixture
def stems() -> Stems:
    """Make four stereo stems of two seconds: tones of their own."""
    time = np.arange(2 * RATE) / RATE
    tones = {name: 110.0 * 2**octave for octave, name in enumerate(NAMES)}
    return {
        name: np.stack([0.1 * np.sin(2 * np.pi * hz * time), 0.05 * np.cos(2 * np.pi * hz * time)])
        .astype(np.float32)
        for name, hz in tones.items()
    }  # fmt: skip


def write(path: Path, audio: Block, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.T, rate, subtype="FLOAT" if path.suffix == ".wav" else None)


def mixture_of(stems: Stems) -> Block:
    return np.sum(list(stems.values()), axis=0, dtype=np.float32)


def write_musdb18(root: Path, stems: Stems) -> None:
    """Write a file of an AAC stream for the mixture and each stem, as the data set has them."""
    signals = {"mixture": mixture_of(stems), **stems}
    for name, audio in signals.items():
        write(root / f"{name}.wav", audio)
    inputs = [part for name in signals for part in ("-i", str(root / f"{name}.wav"))]
    maps = [part for index in range(len(signals)) for part in ("-map", f"{index}:a")]
    (root / "test").mkdir()
    target = root / "test" / "Somebody - A Song.stem.mp4"
    command = [find_ffmpeg(), "-nostdin", "-v", "error", *inputs, *maps]
    subprocess.run([*command, "-c:a", "aac", "-b:a", "256k", str(target)], check=True)


def write_musdb18_hq(root: Path, stems: Stems) -> None:
    for name, audio in {"mixture": mixture_of(stems), **stems}.items():
        write(root / "test" / "Somebody - A Song" / f"{name}.wav", audio)
        write(root / "train" / "Another" / f"{name}.wav", audio)


def write_dsd100(root: Path, stems: Stems) -> None:
    for folder, song in (("Dev", "001 - Another"), ("Test", "Somebody - A Song")):
        write(root / "Mixtures" / folder / song / "mixture.wav", mixture_of(stems))
        for name, audio in stems.items():
            write(root / "Sources" / folder / song / f"{name}.wav", audio)


@pytest.mark.parametrize(
    ("layout", "writer", "error"),
    [
        ("MUSDB18", write_musdb18, 0.01),
        ("MUSDB18-HQ", write_musdb18_hq, 1e-7),
        ("DSD100", write_dsd100, 1e-7),
    ],
)
def test_sets_of_four_stems(
    tmp_path: Path, stems: Stems, layout: str, writer: Callable[..., None], error: float
) -> None:
    writer(tmp_path, stems)
    found, (track,) = find_pieces(tmp_path)
    assert (found, track.name, track.subset) == (layout, "test/Somebody - A Song", "test")
    song = load_reference(track)
    assert song.sample_rate == RATE and set(song.stems) == {*NAMES, "instrumental"}
    assert song.seconds == pytest.approx(2, abs=0.05)
    middle = slice(RATE // 2, 3 * RATE // 2)
    for name, audio in stems.items():
        np.testing.assert_allclose(song.stems[name][:, middle], audio[:, middle], atol=error)
    np.testing.assert_allclose(
        song.stems["instrumental"], sum(song.stems[n] for n in NAMES[:3]), atol=1e-6
    )
    np.testing.assert_allclose(
        song.mixture[:, middle], mixture_of(stems)[:, middle], atol=5 * error
    )


def test_a_stream_is_missing(tmp_path: Path, stems: Stems) -> None:
    write_musdb18(tmp_path, {name: stems[name] for name in NAMES[:3]})
    _, (track,) = find_pieces(tmp_path)
    error = failure(track)
    assert error.exit_code == ExitCode.BAD_DATA and "five audio streams" in str(error)


def test_validation_songs_of_a_corpus(tmp_path: Path, stems: Stems) -> None:
    rows = ["path\trole\tgroup\tsplit"]
    for song, split, names in (
        ("known", "train", ("vocals", "accompaniment")),
        ("two", "validation", ("vocals", "accompaniment")),
        ("four", "validation", NAMES),
        ("guitar", "validation", ("vocals", "drums", "guitar")),
        ("twice", "validation", ("vocals", "vocals", "drums")),
        ("alone", "validation", ("vocals",)),
        ("piece", "validation", ("drums", "bass")),
    ):
        for name in names:
            write(tmp_path / "audio" / song / f"{name}.flac", stems.get(name, stems["other"]))
            rows.append(f"audio/{song}/{name}.flac\tsong-{name}\t{song}\t{split}")
    rows.append("audio/two/vocals.flac\taccompaniment\tband\tvalidation")
    manifest = tmp_path / "manifest.tsv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    layout, tracks = find_pieces(tmp_path)
    assert layout == "corpus"
    by_name = {track.name.removeprefix("validation/"): track for track in tracks}
    assert list(by_name) == ["two", "four", "guitar", "twice", "alone"], "what is not trained on"
    assert by_name["two"].stems.keys() == {"vocals", "instrumental"}
    assert {*by_name["four"].stems} == {*NAMES} and by_name["four"].made
    for name, problem in (("guitar", "guitar"), ("twice", "several"), ("alone", "no accompan")):
        with pytest.raises(NoInputError, match=problem):
            by_name[name].check()
    assert load_reference(by_name["two"], as_mp3=False).sample_rate == RATE
    assert [track.name for track in find_pieces(tmp_path, ["known"])[1]] == ["train/known"]
    manifest.write_text("path\trole\nx\tsong-vocals\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="no column group"):
        find_pieces(tmp_path)


def test_subsets_and_names(tmp_path: Path, stems: Stems) -> None:
    write_dsd100(tmp_path, stems)

    def names(*songs: str, subset: str | None = None) -> list[str]:
        return [track.name for track in find_pieces(tmp_path, songs, subset)[1]]

    assert names() == ["test/Somebody - A Song"]
    assert names(subset="train") == ["train/001 - Another"]
    assert names(subset="all") == ["train/001 - Another", "test/Somebody - A Song"]
    assert names("001 - Another", "train/001 - Another") == ["train/001 - Another"]
    with pytest.raises(NoInputError, match="no song"):
        names("001 - Another", subset="test")
    with pytest.raises(UsageError, match="subset"):
        names(subset="dev")
    with pytest.raises(NoInputError, match="no song"):
        names("Nobody")


def test_mir1k(tmp_path: Path, stems: Stems) -> None:
    voice, music = stems["vocals"][0], stems["drums"][0]
    write(tmp_path / "Wavfile" / "abjones_1_01.wav", np.stack([music, voice]), 16000)
    found, (track,) = find_pieces(tmp_path)
    song = load_reference(track)
    assert (found, song.name, song.sample_rate) == ("MIR-1K", "abjones_1_01", 16000)
    np.testing.assert_array_equal(song.stems["vocals"], voice[None])
    np.testing.assert_array_equal(song.stems["instrumental"], music[None])
    np.testing.assert_array_equal(song.mixture, voice[None] + music[None])
    write(tmp_path / "Wavfile" / "mono.wav", music[None], 16000)
    _, tracks = find_pieces(tmp_path, ["mono"])
    with pytest.raises(NotAudioError, match="one channel"):
        load_reference(tracks[0])


def test_folders_of_songs(tmp_path: Path, stems: Stems) -> None:
    music = mixture_of({name: stems[name] for name in NAMES[:3]})
    write(tmp_path / "two" / "vocals.flac", stems["vocals"])
    write(tmp_path / "two" / "accompaniment.flac", music[:, :-1000])
    write(tmp_path / "three" / "vocals.wav", stems["vocals"][:1])
    write(tmp_path / "three" / "instrumental.wav", music)
    write(tmp_path / "three" / "mixture.wav", 0.5 * (music + stems["vocals"][:1]))
    (tmp_path / "none").mkdir()
    found, (three, two) = find_pieces(tmp_path)
    assert (found, three.name, two.name) == ("songs", "three", "two")
    song = load_reference(three)
    np.testing.assert_array_equal(song.mixture, 0.5 * (music + stems["vocals"][:1]))
    np.testing.assert_array_equal(song.stems["vocals"], np.repeat(stems["vocals"][:1], 2, axis=0))
    song = load_reference(two, as_mp3=False)
    assert song.mixture.shape == (2, 2 * RATE - 1000)
    assert np.abs(song.mixture).max() == pytest.approx(0.9, abs=1e-4)
    np.testing.assert_allclose(song.mixture, sum(song.stems.values()), atol=1e-6)
    coded = load_reference(two)
    assert coded.mixture.shape == song.mixture.shape
    assert 1e-4 < np.abs(coded.mixture - song.mixture).max() < 0.2, "an MP3 by default"


def failure(track: Piece) -> KaraokeError:
    with pytest.raises(KaraokeError) as caught:
        load_reference(track)
    return caught.value


def test_what_is_missing_or_does_not_fit(tmp_path: Path, stems: Stems) -> None:
    with pytest.raises(NoInputError, match="no such folder"):
        find_pieces(tmp_path / "nowhere")
    with pytest.raises(NoInputError) as caught:
        find_pieces(tmp_path)
    for known in ("MUSDB18-HQ", "stem.mp4", "zenodo.org", "DSD100", "MIR-1K", "Wavfile"):
        assert known in str(caught.value)
    write(tmp_path / "song" / "vocals.wav", stems["vocals"])
    _, (track,) = find_pieces(tmp_path)
    assert failure(track).exit_code == ExitCode.NO_INPUT and "no accompaniment" in str(
        failure(track)
    )
    write(tmp_path / "song" / "accompaniment.wav", stems["bass"], 48000)
    _, (track,) = find_pieces(tmp_path)
    assert failure(track).exit_code == ExitCode.BAD_DATA
    write(tmp_path / "song" / "accompaniment.wav", stems["bass"])
    write(tmp_path / "song" / "mixture.wav", stems["bass"], 48000)
    _, (track,) = find_pieces(tmp_path)
    assert failure(track).exit_code == ExitCode.BAD_DATA
    before = track.fingerprint()
    write(tmp_path / "song" / "mixture.wav", stems["bass"][:, 100:])
    assert track.fingerprint() != before
    (tmp_path / "song" / "mixture.wav").unlink()
    with pytest.raises(NoInputError, match="no such file"):
        track.fingerprint()
