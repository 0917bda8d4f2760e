"""Sound files in and out, by real ffmpeg and libsndfile."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from karaoke.audio import (
    FORMATS,
    AudioReader,
    encode,
    load_audio,
    output_format,
    save_audio,
    writing,
)
from karaoke.audio import ffmpeg as ffmpeg_room
from karaoke.audio.blocks import Block
from karaoke.audio.ffmpeg import find_ffmpeg, version_of
from karaoke.errors import (
    NoInputError,
    NotAudioError,
    OutputExistsError,
    PermissionDeniedError,
    ToolMissingError,
    UsageError,
    WriteError,
)
from karaoke.files import PartFile, publish_all

Noise = Callable[..., Block]
Wav = Callable[..., Path]
Transcode = Callable[..., Path]


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (48000, 6), (192000, 2)])
def test_rate_channels_and_samples_come_from_the_source(
    noise: Noise, wav: Wav, rate: int, channels: int
) -> None:
    audio = noise(channels, 12_345)
    with AudioReader(wav(audio, rate)) as reader:
        assert (reader.sample_rate, reader.channels) == (rate, channels)
        blocks = list(reader.blocks())
        assert reader.declared_seconds == pytest.approx(12_345 / rate, abs=0.02)
        assert reader.samples_read == 12_345
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), audio)


def test_blocks_are_small(noise: Noise, wav: Wav) -> None:
    with AudioReader(wav(noise(2, 300_000))) as reader:
        assert max(block.shape[1] for block in reader.blocks()) <= 1 << 17
    with (
        open(wav(noise(2, 300_000)), "rb", buffering=0) as source,
        AudioReader("song", source=source) as reader,
    ):
        assert max(block.shape[1] for block in reader.blocks()) <= 1 << 15, "heard as it comes"


@pytest.mark.parametrize(
    "options",
    [
        ("a.flac",),
        ("b.wav", "-c:a", "pcm_alaw"),
        ("c.aiff",),
        ("d.ogg", "-c:a", "libvorbis"),
        ("e.opus",),
        ("f.m4a",),
        ("g.mka", "-c:a", "pcm_s24le"),
        ("h.wav", "-c:a", "pcm_u8"),
        ("i.au",),
        ("j.ts", "-c:a", "mp2"),
        ("k.avi", "-c:a", "libmp3lame"),
    ],
    ids=lambda options: options[0],
)
def test_many_formats_are_read(
    noise: Noise, wav: Wav, transcode: Transcode, options: tuple[str, ...]
) -> None:
    audio = np.repeat(noise(2, 6000), 8, axis=1)[:, :44100]
    decoded, rate = load_audio(transcode(wav(audio), *options))
    assert rate in (44100, 48000)
    assert abs(decoded.shape[1] / rate - 1) < 0.1
    assert decoded.dtype == np.float32
    assert 0.5 < decoded.std() / audio.std() < 1.5


def test_video_gives_its_sound(wav: Wav, noise: Noise, transcode: Transcode) -> None:
    source = wav(noise(2, 44100))
    video = transcode(
        source, "v.mp4", "-f", "lavfi", "-i", "color=red:s=64x64:d=1", "-c:a", "aac", "-shortest"
    )
    assert load_audio(video)[0].shape[0] == 2


def test_shipped_song(song: Path) -> None:
    audio, rate = load_audio(song)
    target, target_rate = soundfile.read(song.with_name("vocals.flac"), always_2d=True)
    assert rate == target_rate == 44100
    assert audio.shape == target.T.shape


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>404</html>", "looks like HTML"),
        (b"just some words\n" * 100, "looks like text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "looks like a PNG picture"),
        (b"PK\x03\x04" + bytes(100), "looks like a ZIP archive"),
        (b"#EXTM3U\n#EXTINF:1,\nother.wav\n", "looks like a playlist"),
        (bytes(1000), "not audio"),
        (np.random.default_rng(0).bytes(200_000), "not audio"),
    ],
)
def test_what_is_no_audio_is_named(tmp_path: Path, content: bytes, looks: str) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    with pytest.raises(NotAudioError, match=looks):
        load_audio(path)


@pytest.mark.parametrize("which", ["PATH", "wheel"])
@pytest.mark.parametrize("suffix", ["mp3", "m3u8", "wav"])
def test_playlists_do_not_open_other_files(
    noise: Noise, wav: Wav, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, suffix: str
) -> None:
    if which == "wheel":
        monkeypatch.setenv("KARAOKE_FFMPEG", imageio_ffmpeg.get_ffmpeg_exe())
    secret = wav(noise(1, 44100), name="secret.wav")
    playlist = tmp_path / f"evil.{suffix}"
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
    ):
        playlist.write_text(text)
        with pytest.raises(NotAudioError):
            load_audio(playlist)


def test_missing_folder_and_forbidden(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="no such file"):
        load_audio(tmp_path / "nothing.mp3")
    with pytest.raises(NoInputError, match="is a folder"):
        load_audio(tmp_path)
    with pytest.raises(NoInputError, match="no such file"):
        load_audio("a" * 300)
    os.mkfifo(tmp_path / "fifo.wav")
    with pytest.raises(NoInputError, match="is not a regular file"):
        load_audio(tmp_path / "fifo.wav")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(noise: Noise, wav: Wav) -> None:
    path = wav(noise(1, 100))
    path.chmod(0)
    with pytest.raises(PermissionDeniedError, match="may not be read"):
        load_audio(path)


def test_links_are_followed_as_the_system_does(noise: Noise, wav: Wav, tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    audio = noise(1, 500)
    wav(audio).rename(tmp_path / "real" / "song.wav")
    np.testing.assert_array_equal(load_audio(f"{tmp_path}/link/../song.wav")[0], audio)


@pytest.mark.parametrize(
    "name", ["-x.wav", "a:b.wav", "%03d.wav", "a\nb.wav", "é 🎤.wav", "http:x"]
)
def test_odd_names(
    noise: Noise, wav: Wav, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    audio = noise(1, 500)
    wav(audio, name="plain.wav").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(load_audio(name)[0], audio)


def test_not_a_number_is_silenced_and_counted(noise: Noise, wav: Wav) -> None:
    audio = noise(2, 1000)
    audio[0, 10], audio[1, 20], audio[1, 30] = np.nan, np.inf, 1e20
    with AudioReader(wav(audio)) as reader:
        decoded = np.concatenate(list(reader.blocks()), axis=1)
        assert reader.non_finite == 3
    assert decoded[0, 10] == decoded[1, 20] == decoded[1, 30] == 0
    assert np.isfinite(decoded).all()


def test_damage_after_good_audio_keeps_the_good_audio(song: Path, transcode: Transcode) -> None:
    path = transcode(song, "x.m4a", "-movflags", "+faststart")
    content = bytearray(path.read_bytes())
    start = len(content) // 3
    content[start:] = np.random.default_rng(0).bytes(len(content) - start)
    path.write_bytes(content)
    with AudioReader(path) as reader:
        blocks = list(reader.blocks())
        assert blocks and reader.seconds_read > 5
        assert reader.damage


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_are_no_song(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(np.random.default_rng(seed).bytes(200_000))
    with pytest.raises(NotAudioError):
        load_audio(path)


def test_closing_early_ends_ffmpeg(noise: Noise, wav: Wav) -> None:
    with AudioReader(wav(noise(2, 3_000_000))) as reader:
        next(reader.blocks())
        process = reader._process._process
    assert process.returncode is not None


@pytest.mark.parametrize("bit_depth", [16, 24])
@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_integers_come_back_unchanged(
    noise: Noise, tmp_path: Path, extension: str, bit_depth: int
) -> None:
    scale = 2.0 ** (bit_depth - 1)
    levels = np.rint(noise(2, 70_000) * scale).clip(-scale, scale - 1)
    levels[:, :2] = [[-scale, scale - 1]] * 2
    audio = (levels / scale).astype(np.float32)
    path = tmp_path / f"x.{extension}"
    save_audio(path, audio, 48000, bit_depth=bit_depth)
    assert soundfile.info(path).subtype == f"PCM_{bit_depth}"
    decoded, rate = load_audio(path)
    assert rate == 48000
    np.testing.assert_array_equal(decoded, audio)


def test_float_keeps_what_is_beyond_full_scale_and_integers_clip(
    noise: Noise, tmp_path: Path
) -> None:
    audio = 20 * noise(1, 5000)
    assert np.abs(audio).max() > 2
    save_audio(tmp_path / "f.wav", audio, 44100, bit_depth=32)
    np.testing.assert_array_equal(load_audio(tmp_path / "f.wav")[0], audio)
    save_audio(tmp_path / "i.wav", audio, 44100)
    clipped, _ = load_audio(tmp_path / "i.wav")
    np.testing.assert_allclose(clipped, audio.clip(-1, 1), atol=2**-22)


@pytest.mark.parametrize("extension", [name for name in FORMATS if FORMATS[name].encoder])
def test_lossy_formats_sound_like_the_source(tmp_path: Path, song: Path, extension: str) -> None:
    audio, rate = load_audio(song)
    path = tmp_path / f"x.{extension}"
    save_audio(path, audio[:, : 5 * rate], rate)
    decoded, decoded_rate = load_audio(path)
    assert decoded_rate == FORMATS[extension].rate_for(rate)
    assert decoded.shape[0] == 2
    assert decoded.shape[1] / decoded_rate == pytest.approx(5, abs=0.05)
    assert decoded.std() == pytest.approx(audio[:, : 5 * rate].std(), rel=0.02)


def test_a_wav_becomes_rf64_before_its_lengths_overflow(
    noise: Noise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = noise(2, 1000)
    save_audio(tmp_path / "small.wav", audio, 44100, bit_depth=32)
    assert (tmp_path / "small.wav").read_bytes()[:4] == b"RIFF"
    monkeypatch.setattr(writing, "RIFF_LIMIT", 7999)
    save_audio(tmp_path / "large.wav", audio, 44100, bit_depth=32)
    assert (tmp_path / "large.wav").read_bytes()[:4] == b"RF64"
    np.testing.assert_array_equal(load_audio(tmp_path / "large.wav")[0], audio)


def test_formats_say_what_they_cannot_hold(noise: Noise, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Choose one of wav, flac"):
        output_format("aac3")
    with pytest.raises(UsageError, match="flac has no bit depth of 32"):
        output_format("flac", 32)
    with pytest.raises(UsageError, match="it is lossy"):
        output_format("mp3", 16)
    with pytest.raises(UsageError, match="mp3 holds at most 2 channels, not 6"):
        save_audio(tmp_path / "x.mp3", noise(6, 100), 44100)
    with pytest.raises(UsageError, match=r"m4a holds at most 2 channels, or 5\.1, not 4"):
        output_format("m4a").check_channels(4)
    assert list(tmp_path.iterdir()) == []


def test_m4a_keeps_the_channels_of_surround_sound_apart(tmp_path: Path) -> None:
    seconds = np.arange(44100) / 44100
    # The fourth is the one for low frequencies.
    tones = [900, 1100, 1300, 60, 1700, 1900]
    song = np.stack([0.3 * np.sin(2 * np.pi * hz * seconds) for hz in tones]).astype(np.float32)
    save_audio(tmp_path / "song.m4a", song, 44100)
    back, _ = load_audio(tmp_path / "song.m4a")
    loudest = np.abs(np.fft.rfft(back[:, :44100])).argmax(axis=1)
    np.testing.assert_allclose(loudest, tones, atol=1)


@pytest.mark.parametrize(
    ("extension", "rate", "written"), [("mp3", 96000, 48000), ("m4a", 37800, 44100)]
)
def test_rates_that_a_format_cannot_hold(
    noise: Noise, tmp_path: Path, extension: str, rate: int, written: int
) -> None:
    assert output_format(extension).rate_for(rate) == written
    assert output_format(extension).rate_for(44100) == 44100
    save_audio(tmp_path / f"x.{extension}", noise(2, rate), rate)
    with AudioReader(tmp_path / f"x.{extension}") as reader:
        assert reader.sample_rate == written


def test_parts_are_published_together(tmp_path: Path) -> None:
    class Interrupted(PartFile):
        """Is hit by Ctrl-C when it has got its name."""

        def publish(self) -> None:
            super().publish()
            raise KeyboardInterrupt

    with Interrupted(tmp_path / "a") as first, PartFile(tmp_path / "b") as second:
        for part in (first, second):
            part.path.write_bytes(b"x")
        with pytest.raises(KeyboardInterrupt):
            publish_all([first, second])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_name_that_cannot_be_taken_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with PartFile(tmp_path / "a") as first, PartFile(tmp_path / "b") as second:
        for part in (first, second):
            part.path.write_bytes(b"x")
        with pytest.raises(OutputExistsError, match="in the way"):
            publish_all([second, first])
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_file_appears_only_when_it_is_whole(noise: Noise, tmp_path: Path) -> None:
    target = tmp_path / "x.wav"
    target.write_bytes(b"old")
    chosen = output_format("wav")

    def failing_blocks() -> object:
        yield noise(1, 100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), PartFile(target) as part:
        encode(part, failing_blocks(), sample_rate=44100, channels=1, frames=200, chosen=chosen)
    assert [p.name for p in tmp_path.iterdir()] == ["x.wav"]
    assert target.read_bytes() == b"old"
    with pytest.raises(WriteError, match="100 of 200 samples"), PartFile(target) as part:
        encode(part, [noise(1, 100)], sample_rate=44100, channels=1, frames=200, chosen=chosen)
    assert target.read_bytes() == b"old"


def test_folders_that_cannot_be_written(noise: Noise, tmp_path: Path) -> None:
    for name in ("x.wav", "x.mp3"):
        with pytest.raises(WriteError, match="no such folder"):
            save_audio(tmp_path / "missing" / name, noise(1, 100), 44100)
    with pytest.raises((PermissionDeniedError, WriteError)):
        save_audio("/proc/x.wav", noise(1, 100), 44100)


def fake_ffmpeg(folder: Path, version: str) -> None:
    """Put a script on the PATH that only tells a version."""
    script = folder / "ffmpeg"
    script.write_text(f"#!/bin/sh\necho 'ffmpeg version {version} Copyright'\n")
    script.chmod(0o755)


@pytest.mark.parametrize(
    ("version", "taken"),
    [("n7.1", True), ("5.1.9-0+deb12u1", True), ("4.4.2", False), ("N-109-gabc", False)],
)
def test_an_old_ffmpeg_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, taken: bool
) -> None:
    monkeypatch.delenv("KARAOKE_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fake_ffmpeg(tmp_path, version)
    assert (find_ffmpeg() == str(tmp_path / "ffmpeg")) is taken
    assert (version_of(find_ffmpeg()) or 0) >= 5 or taken


def test_no_ffmpeg_on_the_path_is_no_problem(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KARAOKE_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == imageio_ffmpeg.get_ffmpeg_exe()
    assert load_audio(song)[0].shape[0] == 2


def test_no_ffmpeg_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KARAOKE_FFMPEG", raising=False)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nothing"))
    monkeypatch.setattr(ffmpeg_room.imageio_ffmpeg, "get_ffmpeg_exe", broken_wheel)
    ffmpeg_room._find.cache_clear()
    with pytest.raises(ToolMissingError, match="no usable ffmpeg"):
        find_ffmpeg()
    for broken in (tmp_path / "nothing", "/bin/false"):
        monkeypatch.setenv("KARAOKE_FFMPEG", str(broken))
        with pytest.raises(ToolMissingError, match="does not run"):
            load_audio(__file__)


def broken_wheel() -> str:
    """Answer as imageio-ffmpeg does when its wheel holds no binary for the platform."""
    raise RuntimeError("No ffmpeg exe could be found.")


def test_ffmpeg_without_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ffmpeg(tmp_path, "7.1")
    monkeypatch.setenv("KARAOKE_FFMPEG", str(tmp_path / "ffmpeg"))
    with pytest.raises(ToolMissingError, match="no encoder libmp3lame"):
        output_format("mp3")


def test_an_encoder_that_dies_is_reported(noise: Noise, tmp_path: Path) -> None:
    chosen = output_format("opus")
    broken = PartFile(tmp_path / "x.opus")
    with pytest.raises(WriteError, match=r"ffmpeg|rate|Invalid|Error"), broken as part:
        encode(
            part,
            [noise(1, 50_000)] * 50,
            sample_rate=44100,
            channels=1,
            frames=2_500_000,
            chosen=writing.replace(chosen, options={"f": "opus", "audio_bitrate": "99999k"}),
        )


def test_it_is_known_what_ffmpeg_was_built_with() -> None:
    executable = ffmpeg_room.find_ffmpeg()
    assert {"aac", "libmp3lame", "libopus"} <= ffmpeg_room.built_with(executable, "encoders")
    filters = ffmpeg_room.built_with(executable, "filters")
    assert {"aresample", "ebur128"} <= filters and "=" not in filters
