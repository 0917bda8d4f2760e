"""Which speakers the channels are for: carried into files and pipes."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from karaoke.audio import (
    AudioReader,
    PipeWriter,
    encode,
    output_format,
    save_audio,
    unspoken,
    writing,
)
from karaoke.audio.blocks import Block
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.audio.layouts import LAYOUTS, channel_mask
from karaoke.files import PartFile, publish_all

#: Masks of Microsoft's documentation.
MASKS = {
    "2.1": 0xB,
    "3.0": 0x7,
    "4.0": 0x107,
    "quad": 0x33,
    "quad(side)": 0x603,
    "5.0": 0x37,
    "5.1": 0x3F,
    "5.1(side)": 0x60F,
    "6.1": 0x70F,
    "7.1": 0x63F,
    "7.1(wide)": 0xFF,
}


def song_of(path: Path, layout: str) -> Path:
    """Write a song of different channels in a layout."""
    count = len(LAYOUTS[layout].split())
    parts = "|".join(f"random({number})*0.2-0.1" for number in range(count))
    source = f"aevalsrc=exprs={parts}:channel_layout={layout}:d=0.2:s=44100"
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", source]
    subprocess.run([*command, path], check=True)
    return path


def heard(path: Path) -> tuple[str, Block]:
    """Decode a file and tell its layout."""
    with AudioReader(path) as reader:
        return reader.layout, np.concatenate(list(reader.blocks()), axis=1)


def write(path: Path, audio: Block, layout: str) -> Path:
    """Write a stem."""
    with PartFile(path) as part:
        encode(
            part,
            [audio],
            sample_rate=44100,
            channels=audio.shape[0],
            frames=audio.shape[1],
            chosen=output_format(path.suffix),
            layout=layout,
        )
        publish_all([part])
    return path


def header_of(path: Path) -> tuple[int, int]:
    """Read the format tag and, if it has one, the mask of a WAV."""
    content = path.read_bytes()
    start = content.index(b"fmt ") + 8
    (kind,) = struct.unpack_from("<H", content, start)
    return kind, struct.unpack_from("<I", content, start + 20)[0] if kind == 0xFFFE else 0


@pytest.mark.parametrize("layout", MASKS)
def test_layouts_are_kept(tmp_path: Path, layout: str) -> None:
    said, audio = heard(song_of(tmp_path / "song.wav", layout))
    assert (said, channel_mask(said, len(audio))) == (layout, MASKS[layout])
    for extension in ("wav", "flac"):
        path = write(tmp_path / f"x.{extension}", audio, said)
        again, same = heard(path)
        assert again == layout
        np.testing.assert_allclose(same, audio, atol=1e-6)
        piped = tmp_path / f"piped.{extension}"
        with (
            piped.open("wb") as file,
            PipeWriter(
                file, extension, sample_rate=44100, channels=len(audio), layout=said
            ) as writer,
        ):
            writer.write(audio)
        again, same = heard(piped)
        assert again == layout
        np.testing.assert_allclose(same, audio, atol=1e-6)
    assert header_of(tmp_path / "x.wav") == (0xFFFE, MASKS[layout])


def test_a_large_wav_has_its_mask_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, audio = heard(song_of(tmp_path / "song.wav", "2.1"))
    monkeypatch.setattr(writing, "RIFF_LIMIT", 1000)
    path = write(tmp_path / "x.wav", audio, said)
    assert path.read_bytes()[:4] == b"RF64" and heard(path)[0] == "2.1"


@pytest.mark.parametrize("channels", [3, 4, 6, 8])
def test_what_the_song_does_not_say_is_not_claimed(tmp_path: Path, channels: int) -> None:
    audio = 0.1 * np.random.default_rng(0).standard_normal((channels, 9000)).astype(np.float32)
    soundfile.write(tmp_path / "song.wav", audio.T, 44100, subtype="FLOAT")
    said, _ = heard(tmp_path / "song.wav")
    assert said == "" and unspoken(said, channels) == ""
    assert header_of(write(tmp_path / "x.wav", audio, said)) == (0xFFFE, 0)
    save_audio(tmp_path / "y.wav", audio, 44100)
    assert header_of(tmp_path / "y.wav") == (0xFFFE, 0)
    # By RFC 9639 this says that the channels are for no speakers.
    content = write(tmp_path / "x.flac", audio, said).read_bytes()
    assert b"WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x0000" in content
    with (
        (tmp_path / "p.wav").open("wb") as file,
        PipeWriter(file, "wav", sample_rate=44100, channels=channels) as writer,
    ):
        writer.write(audio)
    piped = heard(tmp_path / "p.wav")
    assert piped[0] == ""
    np.testing.assert_array_equal(piped[1], audio)


def test_mono_and_stereo_stay_plain(tmp_path: Path) -> None:
    for channels, layout in ((1, "mono"), (2, "stereo")):
        path = write(tmp_path / "x.wav", np.zeros((channels, 99), np.float32), layout)
        assert header_of(path) == (1, 0)


def test_layouts_that_no_mask_says() -> None:
    assert channel_mask("3 channels (FL+FR+LFE)", 3) == 0xB
    for layout, channels in (
        ("3 channels (LFE+FL+FR)", 3),
        ("ambisonic 1", 4),
        ("22.2", 24),
        ("4 channels (FL+FR+WL+WR)", 4),
    ):
        assert channel_mask(layout, channels) == 0
        assert unspoken(layout, channels) == layout
    assert unspoken("3 channels", 3) == unspoken("downmix", 2) == unspoken("5.1", 6) == ""
