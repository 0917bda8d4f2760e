"""Training data: layouts, the cache, sampling by group, mixtures."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from karaoke.audio import Block, load_audio
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.errors import CorpusError, NoInputError, OutputExistsError
from karaoke.training.corpus import (
    SAMPLE_RATE,
    Recording,
    cache_folder,
    find_rows,
    load_corpus,
    resample,
)
from karaoke.training.mixtures import augment
from karaoke.training.mixtures.data import MixtureConfig, MixtureDataset
from karaoke.training.mixtures.pools import Pool, make_pools, read_together
from karaoke.training.mixtures.voices import Singers
from karaoke.training.validation import singing_windows
from karaoke.training.workshop.credits import credit_table
from karaoke.training.workshop.pack import pack

#: Older Pythons do not know it.
SAFELY: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}

SHORT = MixtureConfig(segment_seconds=1.0)


def write(path: Path, value: float = 0.1, seconds: float = 0.5) -> None:
    """Write a stereo file of one value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((round(seconds * SAMPLE_RATE), 2), value), SAMPLE_RATE)


def test_cache_holds_the_corpus_at_the_models_rate(
    corpus: Path, recordings: list[Recording], tmp_path: Path
) -> None:

    assert len(recordings) == 8
    assert {r.role for r in recordings} >= {"vocals", "speech", "accompaniment", "song-vocals"}
    for recording in recordings:
        seconds = soundfile.info(corpus / recording.path).duration
        assert recording.length == pytest.approx(seconds * SAMPLE_RATE, abs=2)
        assert recording.read(recording.length - 5, 10).shape[1] == 10
    cached = load_corpus([corpus], tmp_path, workers=1)
    stamps = [p.stat().st_mtime_ns for p in sorted(tmp_path.rglob("*.npy"))]
    load_corpus([corpus], tmp_path, workers=1)
    assert stamps == [p.stat().st_mtime_ns for p in sorted(tmp_path.rglob("*.npy"))]
    np.testing.assert_array_equal(cached[0].samples, recordings[0].samples)


def test_a_changed_recording_is_decoded_again(tmp_path: Path) -> None:
    song = tmp_path / "corpus" / "song"
    for stem, value in (("vocals", 0.1), ("other", 0.2)):
        write(song / f"{stem}.wav", value)
    cache = tmp_path / "cache"
    before = load_corpus([song.parent], cache, workers=1)
    assert before[1].read(0, 1)[0, 0] == pytest.approx(0.1, abs=1e-3)
    write(song / "vocals.wav", 0.3)
    after = load_corpus([song.parent], cache, workers=1)
    assert after[1].read(0, 1)[0, 0] == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_resampling_keeps_a_tone_and_its_level(rate: int) -> None:
    time = np.arange(rate) / rate
    tone = (0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)[:, None]
    resampled = resample(tone, rate)
    assert resampled.shape == (SAMPLE_RATE, 1) and resampled.dtype == np.float32
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    middle = slice(SAMPLE_RATE // 10, -SAMPLE_RATE // 10)
    np.testing.assert_allclose(resampled[middle, 0], expected[middle], atol=1e-3)


def test_layout_of_songs_with_stems(tmp_path: Path) -> None:
    stems = {"vocals": 0.1, "drums": 0.01, "bass": 0.02, "other": 0.03, "mixture": 0.16}
    for song in ("train/A", "test/B"):
        for stem, value in stems.items():
            write(tmp_path / song / f"{stem}.wav", value)
    rows = find_rows(tmp_path)
    assert {(row["group"], row["split"]) for row in rows} == {("A", "train"), ("B", "validation")}
    assert {row["role"] for row in rows} == {f"song-{stem}" for stem in stems if stem != "mixture"}
    recordings = load_corpus([tmp_path], tmp_path / "cache", workers=1)
    others = [r for r in recordings if r.group == "A" and r.role != "song-vocals"]
    np.testing.assert_allclose(read_together(others, 0, 3), 0.06, atol=1e-4)
    config = MixtureConfig(segment_seconds=0.2, aligned_share=1.0, song_effects=False,
                           vocals_absent_share=0, accompaniment_absent_share=0)  # fmt: skip
    vocals, accompaniment = MixtureDataset(recordings, config, seed=0, length=1)[0].parts
    assert vocals.abs().min() > 0 and accompaniment.abs().min() > 0


def test_layout_of_plain_folders(tmp_path: Path) -> None:
    write(tmp_path / "vocals" / "ann" / "1.wav")
    write(tmp_path / "vocals" / "ann" / "2.wav")
    write(tmp_path / "vocals" / "bob.flac")
    write(tmp_path / "accompaniment" / "band.wav")
    (tmp_path / "accompaniment" / "cover.jpg").write_bytes(b"no sound")
    write(tmp_path / "validation" / "song" / "vocals.wav")
    write(tmp_path / "validation" / "song" / "accompaniment.wav")
    rows = {(r["role"], r["group"], r["split"]) for r in find_rows(tmp_path)}
    assert rows == {
        ("vocals", "ann", "train"),
        ("vocals", "bob", "train"),
        ("accompaniment", "band", "train"),
        ("song-vocals", "song", "validation"),
        ("song-accompaniment", "song", "validation"),
    }


def test_a_folder_that_is_no_corpus_is_an_error(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(NoInputError, match="neither a manifest"):
        load_corpus([tmp_path], tmp_path / "cache")
    write(tmp_path / "vocals" / "a.wav")
    voices = load_corpus([tmp_path], tmp_path / "cache", workers=1)
    with pytest.raises(NoInputError, match="no music"):
        MixtureDataset(voices, SHORT, seed=0, length=1)
    music = [r for r in load_corpus([corpus], tmp_path / "cache") if r.role == "accompaniment"]
    with pytest.raises(NoInputError, match="no voice"):
        MixtureDataset(music, SHORT, seed=0, length=1)


def test_licences_can_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav")
    lines = ["path\trole\tgroup\tsplit\tlicence", "a.wav\tvocals\ta\ttrain\tCC0"]
    lines.append("b.wav\tvocals\tb\ttrain\tGPL-3.0")
    (tmp_path / "manifest.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    cache = tmp_path / "cache"
    kept = load_corpus([tmp_path], cache, workers=1, without_licenses=["gpl"])
    assert [r.path for r in kept] == ["a.wav"]
    with pytest.raises(NoInputError, match="no recording"):
        load_corpus([tmp_path], cache, workers=1, without_licenses=["gpl", "cc0"])


def in_manifest(root: Path, *rows: str, header: str = "path\trole\tgroup\tsplit") -> Path:
    """Write a manifest."""
    (root / "manifest.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a.wav\tchoir\ta\ttrain", 'line 3: role is "choir"'),
        ("a.wav\tsong-\ta\ttrain", 'role is "song-"'),
        ("a.wav\tvocals\ta\ttest", 'split is "test"'),
        ("a.wav\tvocals\t\ttrain", 'group is ""'),
        ("a.wav\tvocals", 'line 3: group is ""'),
        ("\tvocals\ta\ttrain", 'path is ""'),
        ("../a.wav\tvocals\ta\ttrain", 'path is "../a.wav"'),
        ("b/../../a.wav\tvocals\ta\ttrain", "below the folder"),
        ("/etc/passwd\tvocals\ta\ttrain", 'path is "/etc/passwd"'),
    ],
)
def test_a_row_that_cannot_be_is_named(tmp_path: Path, row: str, says: str) -> None:
    root = in_manifest(tmp_path, "a.wav\tvocals\ta\ttrain", row)
    with pytest.raises(CorpusError, match=re.escape(says)) as caught:
        load_corpus([root], tmp_path / "cache", workers=1)
    assert "manifest.tsv" in str(caught.value) and caught.value.exit_code == 65


def test_a_manifest_that_is_none_is_named(tmp_path: Path) -> None:
    root = in_manifest(tmp_path, "a.wav\tvocals", header="path\trole")
    with pytest.raises(CorpusError, match=r"manifest\.tsv.*no column group, split"):
        find_rows(root)
    for content in (b"", b"\xff\xfe\x00", b"RIFF\x00\x00WAVE"):
        (root / "manifest.tsv").write_bytes(content)
        with pytest.raises(CorpusError, match=r"manifest\.tsv"):
            find_rows(root)
    header = "\ufeffpath\trole\tgroup\tsplit\r"  # as Windows' editors write it
    assert find_rows(in_manifest(root, "a.wav\tvocals\ta\ttrain\r", header=header))


def test_a_recording_that_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    rows = [f"{name}.wav\tvocals\ta\ttrain" for name in "ab"]
    with pytest.raises(NoInputError, match=r"b\.wav.*manifest\.tsv") as caught:
        load_corpus([in_manifest(tmp_path, *rows)], tmp_path / "cache", workers=1)
    assert caught.value.exit_code == 66 and not (tmp_path / "cache").exists()


def test_a_bad_recording_is_left_out_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "vocals"
    write(folder / "good.wav")
    soundfile.write(folder / "none.wav", np.zeros((0, 2)), SAMPLE_RATE)
    (folder / "empty.mp3").touch()
    (folder / "text.flac").write_bytes(b"<html>404</html>")
    (folder / "zeros.ogg").write_bytes(bytes(9999))
    said: list[str] = []
    kept = load_corpus([tmp_path], tmp_path / "cache", workers=1, warn=said.append)
    assert [recording.path for recording in kept] == ["vocals/good.wav"]
    assert len(said) == 4 and all("left out" in line for line in said)
    for name, line in zip(("empty.mp3", "none.wav", "text.flac", "zeros.ogg"), said, strict=True):
        assert name in line
    (folder / "good.wav").write_bytes(b"RIFF")
    with pytest.raises(CorpusError, match=r"none of 5 recordings.*empty\.mp3"):
        load_corpus([tmp_path], tmp_path / "cache", workers=1, warn=said.append)


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    write(tmp_path / "vocals" / "a.wav")
    load_corpus([tmp_path], tmp_path / "cache", workers=1)
    (cached,) = (tmp_path / "cache").rglob("*.npy")
    content = cached.read_bytes()
    cached.write_bytes(content[:100])
    load_corpus([tmp_path], tmp_path / "cache", workers=1)
    assert cached.read_bytes() == content


@pytest.mark.parametrize("place", ["cache", "corpus", "recording"])
def test_something_in_the_place_of_the_cache_is_one_line(tmp_path: Path, place: str) -> None:
    write(tmp_path / "vocals" / "a.wav")
    cache = tmp_path / "cache"
    cached = cache_folder(cache, tmp_path)
    if place == "recording":
        (cached / "vocals" / "a.wav.npy" / "x").mkdir(parents=True)
    else:
        blocked = cache if place == "cache" else cached
        blocked.parent.mkdir(exist_ok=True)
        blocked.write_text("mine")
    with pytest.raises(OutputExistsError, match="in the way") as caught:
        load_corpus([tmp_path], cache, workers=1)
    assert "--cache" in caught.value.hint
    assert place == "recording" or blocked.read_text() == "mine"


def test_a_stream_whose_times_do_not_begin_at_zero_is_read(
    tmp_path: Path, noise: Callable[..., Block]
) -> None:
    source, part, late = (
        tmp_path / name for name in ("whole.wav", "b/whole.opus", "vocals/a.opus")
    )
    soundfile.write(source, noise(1, 5 * 48000).T, 48000)
    for path in (part, late):
        path.parent.mkdir()
    run = [find_ffmpeg(), "-v", "error", "-y"]
    subprocess.run([*run, "-i", source, "-c:a", "libopus", part], check=True)
    # Cut out of the middle without a new coder: its first page says 2 s.
    cut = ["-ss", "2", "-i", part, "-c", "copy", "-copyts"]
    subprocess.run([*run, *cut, late], check=True)
    (recording,) = load_corpus([tmp_path], tmp_path / "cache", workers=1)
    assert recording.length == pytest.approx(3 * SAMPLE_RATE, rel=0.02)
    expected, rate = load_audio(late)
    np.testing.assert_allclose(
        recording.read(0, 2000), resample(expected.T, rate).T[:, :2000], atol=1e-4
    )


def test_without_ffmpeg_soundfile_reads(tmp_path: Path) -> None:
    write(tmp_path / "vocals" / "a.wav", 0.25)
    nothing = np.full((900, 2), np.nan)
    soundfile.write(tmp_path / "vocals" / "b.wav", nothing, SAMPLE_RATE, subtype="FLOAT")
    code = (
        "import sys\n"
        "sys.modules['ffmpeg'] = sys.modules['imageio_ffmpeg'] = sys.modules['librosa'] = None\n"
        "from pathlib import Path\n"
        "from karaoke.training.corpus import load_corpus\n"
        "for r in load_corpus([Path('.')], Path('cache'), workers=1): print(r.read(0, 1)[0, 0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [round(float(line), 3) for line in done.stdout.split()] == [0.25, 0.0]


def test_resampling_does_not_wrap_the_end_into_the_start() -> None:
    click = np.zeros((48000, 1), np.float32)
    click[-40:] = 1.0
    assert np.abs(resample(click, 48000)[:2000]).max() < 1e-6


def test_corpora_of_one_name_do_not_share_a_cache(tmp_path: Path) -> None:
    for top, value in (("x", 0.1), ("y", 0.2)):
        write(tmp_path / top / "corpus" / "vocals" / "a.wav", value)
    roots = [tmp_path / "x" / "corpus", tmp_path / "y" / "corpus"]
    both = load_corpus(roots, tmp_path / "cache", workers=1)
    assert [round(float(r.read(0, 1)[0, 0]), 2) for r in both] == [0.1, 0.2]


def test_slices_make_the_same_corpus_again(corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write(other / "vocals" / "a.wav")
    slices = pack([corpus, other], tmp_path / "out", slice_bytes=1_500_000)
    assert len(slices) > 2 and max(path.stat().st_size for path in slices) < 3_000_000
    carried = tmp_path / "carried"
    for path in reversed(slices):
        with tarfile.open(path) as archive:
            archive.extractall(carried, **SAFELY)
    here = load_corpus([corpus, other], tmp_path / "cache", workers=1)
    there = load_corpus([carried], tmp_path / "cache", workers=1)
    assert [r.path.partition("/")[2] for r in there] == [r.path for r in here]
    for one, two in zip(here, there, strict=True):
        assert (one.role, one.group, one.split) == (two.role, two.group, two.split)
        np.testing.assert_array_equal(one.samples, two.samples)


def test_credits_name_every_source_once(tmp_path: Path) -> None:
    columns = "role\tsplit\tseconds\tattribution\tlicence\tsource"
    rows = [
        "vocals\ttrain\t60\tA\tCC0\tx",
        "vocals\ttrain\t30\tB\tCC0\tx",
        "song-vocals\ttrain\t30\tC\tMIT\ty",
        "speech\tvalidation\t30\tD\tsecret\tz",
    ]
    (tmp_path / "manifest.tsv").write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    assert credit_table([tmp_path]).splitlines()[2:] == [
        "| songs | y | 0.5 | C | MIT |",
        "| vocals | x | 1.5 | A; B | CC0 |",
    ]


def test_groups_are_drawn_by_the_root_of_their_length() -> None:
    lengths = {"large": 1_600, "small": 100}
    pool = Pool(
        [
            Recording(name, "vocals", name, "train", np.zeros((1, length), np.int16))
            for name, length in lengths.items()
        ]
    )
    rng = np.random.default_rng(0)
    drawn = [pool.draw(rng).group for _ in range(4000)]
    assert drawn.count("large") / drawn.count("small") == pytest.approx(4, rel=0.15)


def test_mixtures(recordings: list[Recording]) -> None:
    data = MixtureDataset(recordings, SHORT, seed=3, length=80)
    items = torch.stack([data[index].parts for index in range(len(data))])
    assert items.shape == (80, 2, 2, SAMPLE_RATE)
    assert items.isfinite().all()
    assert items.sum(dim=1).square().mean(dim=(1, 2)).sqrt().allclose(torch.tensor(0.1), rtol=1e-3)
    absent = (items[:, 0].abs().amax(dim=(1, 2)) == 0).sum()
    assert 1 <= absent <= 20
    torch.testing.assert_close(data[7].parts, items[7], atol=0, rtol=0)
    assert not data[7].parts.equal(data[8].parts)
    other = MixtureDataset(recordings, SHORT, seed=4, length=80)
    assert not other[7].parts.equal(items[7])


def test_aligned_stems_stay_together(recordings: list[Recording]) -> None:
    config = MixtureConfig(segment_seconds=1.0, aligned_share=1.0, song_effects=False,
                           vocals_absent_share=0, accompaniment_absent_share=0)  # fmt: skip
    song = {r.role: r for r in recordings if r.group == "one"}
    ratio = []
    for item in range(4):
        stems = MixtureDataset(recordings, config, seed=0, length=9)[item].parts
        peaks = [int(np.abs(np.fft.rfft(stem[0].numpy())).argmax()) for stem in stems]
        ratio.append(peaks[0] / peaks[1])
    whole = [
        np.abs(np.fft.rfft(song[role].read(0, SAMPLE_RATE)[0])).argmax()
        for role in ("song-vocals", "song-accompaniment")
    ]
    # Both stems are bent alike: their tones keep their interval.
    np.testing.assert_allclose(ratio, whole[0] / whole[1], rtol=0.02)


@pytest.fixture(scope="session")
def parted(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Decode a song with four stems and two pieces in three, in MUSDB18-HQ's folders."""
    root = tmp_path_factory.mktemp("parted")
    values = {"vocals": 0.1, "drums": 0.01, "bass": 0.02, "other": 0.03}
    for stem, value in values.items():
        write(root / "train" / "song" / f"{stem}.wav", value, 1.5)
    rows = ["path\trole\tgroup\tsplit"]
    rows += [f"train/song/{stem}.wav\tsong-{stem}\tsong\ttrain" for stem in values]
    for piece, factor in (("a", 4), ("b", 8)):
        for stem, value in list(values.items())[1:]:
            write(root / piece / f"{stem}.wav", factor * value, 1.5)
            rows.append(f"{piece}/{stem}.wav\tsong-{stem}\t{piece}\ttrain")
    write(root / "loose.wav", 0.9, 1.5)
    rows.append("loose.wav\taccompaniment\tloose\ttrain")
    musdb = load_corpus([root / "train"], root / "cache", workers=1)
    assert [r.role for r in musdb] == [f"song-{stem}" for stem in sorted(values)]
    (root / "manifest.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return load_corpus([root], root / "cache", workers=1)


STILL = {"segment_seconds": 0.3, "song_effects": False, "vocal_chain": False,
         "vocals_absent_share": 0.0, "accompaniment_absent_share": 0.0}  # fmt: skip
FOUR = ("vocals", "drums", "bass", "other")


def test_four_stems_of_a_song_stay_together(parted: list[Recording]) -> None:
    config = MixtureConfig(aligned_share=1.0, **STILL)
    item = MixtureDataset(parted, config, seed=0, length=1, stems=FOUR)[0].parts
    assert item.shape == (4, 2, round(0.3 * SAMPLE_RATE))
    drums, bass, other = item[1:].abs().mean(dim=(1, 2))
    assert float(bass / drums) == pytest.approx(2, rel=1e-2)
    assert float(other / drums) == pytest.approx(3, rel=1e-2)
    two = MixtureDataset(parted, config, seed=0, length=1, stems=("vocals", "instrumental"))[0]
    torch.testing.assert_close(two.parts[0], item[0], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(two.parts[1], item[1:].sum(dim=0), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("effects", [False, True])
def test_four_stems_add_up_to_the_mixture(parted: list[Recording], effects: bool) -> None:
    config = MixtureConfig(segment_seconds=0.3, aligned_share=0.2, song_share=0.8,
                           song_effects=effects)  # fmt: skip
    data = MixtureDataset(parted, config, seed=1, length=40, stems=FOUR)
    items = torch.stack([data[index].parts for index in range(40)])
    assert items.isfinite().all()
    assert items.sum(dim=1).square().mean(dim=(1, 2)).sqrt().allclose(torch.tensor(0.1), rtol=1e-3)
    levels = items.square().mean(dim=(2, 3))
    assert 1 <= (levels[:, 1:] == 0).sum() <= 40, "a part is missing now and then"
    ratio = (levels[:, 2] / levels[:, 1])[(levels[:, 1] > 0) & (levels[:, 2] > 0)]
    assert ratio.max() > 4 * ratio.min(), "parts play at levels of their own"


def test_only_music_in_parts_is_good_for_four_stems(parted: list[Recording]) -> None:
    four = MixtureDataset(parted, SHORT, seed=0, length=1, stems=FOUR)
    assert {*four.pools["accompaniment"].groups} == {"a", "b"}
    assert {*four.pools["song-accompaniment"].groups} == {"song"}
    two = MixtureDataset(parted, SHORT, seed=0, length=1)
    assert {*two.pools["accompaniment"].groups} == {"a", "b", "loose"}
    without = [r for r in parted if r.role != "song-bass"]
    with pytest.raises(NoInputError, match="drums, bass, other") as caught:
        MixtureDataset(without, SHORT, seed=0, length=1, stems=FOUR)
    assert "--parts" in caught.value.hint


def test_voices_without_a_chain_are_dry_and_central(recordings: list[Recording]) -> None:
    pools = {role: Pool([r for r in recordings if r.role == role]) for role in ("vocals", "speech")}
    dry = Singers(pools, SAMPLE_RATE, speech_share=0.5, chain=False)
    produced = Singers(pools, SAMPLE_RATE, speech_share=0.5, chain=True)
    sides = []
    for seed in range(8):
        audio = dry(np.random.default_rng(seed))
        np.testing.assert_allclose(audio[0], audio[1], atol=1e-6)
        audio = produced(np.random.default_rng(seed))
        assert audio.shape == (2, SAMPLE_RATE) and np.isfinite(audio).all()
        sides.append(augment.rms(audio[:1] - audio[1:]))
    assert np.count_nonzero(sides) > 4


def test_a_share_of_the_voices_stays_dry(recordings: list[Recording]) -> None:
    pools = {role: Pool([r for r in recordings if r.role == role]) for role in ("vocals", "speech")}
    singers = Singers(pools, SAMPLE_RATE, speech_share=0.5, chain=True, dry_share=0.5)
    voices = [singers(np.random.default_rng(seed)) for seed in range(40)]
    central = sum(np.allclose(voice[0], voice[1], atol=1e-6) for voice in voices)
    assert 5 < central < 30


def test_a_share_of_the_voices_leaves_the_centre(recordings: list[Recording]) -> None:
    pools = {role: Pool([r for r in recordings if r.role == role]) for role in ("vocals", "speech")}
    widths = []
    for wide_share in (0.0, 1.0):
        sing = Singers(pools, SAMPLE_RATE, speech_share=0.5, chain=True, wide_share=wide_share)
        voices = [sing(np.random.default_rng(seed)) for seed in range(30)]
        sides = [augment.rms(v[0] - v[1]) / augment.rms(v[0] + v[1]) for v in voices]
        widths.append(np.median(sides))
    narrow, wide = widths
    assert wide > max(0.4, 1.5 * narrow)


def test_validation_recordings_are_never_trained_on(recordings: list[Recording]) -> None:
    data = MixtureDataset(recordings, SHORT, seed=0, length=1)
    groups = {group for pool in data.pools.values() for group in pool.groups}
    assert "one" in groups and "two" not in groups
    assert {song for song, _, _ in singing_windows(recordings)} == {"two"}


def test_estimated_songs_have_a_share_and_limit_the_band(recordings: list[Recording]) -> None:
    songs = [r for r in recordings if r.role.startswith("song-") and r.split == "train"]
    teacher = [
        replace(r, group=f"estimated-{r.group}", samples=r.samples[:, ::-1], estimated=True)
        for r in songs
    ]
    config = replace(SHORT, aligned_share=1.0, song_effects=False)

    def band_edges(share: float, recordings: list[Recording]) -> list[float]:
        mixed = replace(config, estimated_share=share)
        data = MixtureDataset(recordings, mixed, seed=1, length=20)
        return [float(data[i].band_hz) for i in range(len(data))]

    pools = make_pools([*recordings, *teacher])
    assert {r.estimated for rs in pools["song-vocals"].groups.values() for r in rs} == {False}
    assert {r.estimated for rs in pools["estimated-vocals"].groups.values() for r in rs} == {True}
    assert band_edges(0.0, [*recordings, *teacher]) == band_edges(1.0, recordings)
    assert max(band_edges(1.0, [*recordings, *teacher])) < 14_000
    edges = band_edges(0.5, [*recordings, *teacher])
    assert min(edges) < 14_000 < max(edges)
