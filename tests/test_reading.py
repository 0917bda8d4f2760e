"""What a reader finds out about a file before and after its samples."""

from __future__ import annotations

import os
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from karaoke.audio import AudioReader, reading
from karaoke.audio.facts import SourceFacts
from karaoke.audio.sizes import MOST_CHUNKS, chunks, read_sizes
from karaoke.errors import NotAudioError

CONTAINERS = ("WAV", "WAVEX", "RF64", "AIFF", "AU", "CAF", "W64")


def test_the_declared_duration_is_known_at_once(song: Path) -> None:
    def declared(_number: int) -> float | None:
        with AudioReader(song) as reader:
            return reader.declared_seconds

    with ThreadPoolExecutor(4) as pool:
        durations = list(pool.map(declared, range(60)))
    assert None not in durations and len(set(durations)) == 1


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Write a file in which ffmpeg searches for samples for minutes: chunks of no length."""
    path = tmp_path / "zeros.wav"
    path.write_bytes(b"RIFF\xf0\xff\xff\xffWAVE")
    os.truncate(path, 1 << 32)
    return path


def test_opening_is_given_up_in_time(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "OPENING_SECONDS", 1.0)
    with pytest.raises(NotAudioError, match="no sound was found in it within 1 s"):
        AudioReader(endless)


def test_opening_is_cancelled(endless: Path) -> None:
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(NotAudioError):
        AudioReader(endless, cancelled=cancelled)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("container", CONTAINERS)
def test_sizes_of_whole_files(tmp_path: Path, container: str) -> None:
    path = tmp_path / "song"
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, (1000, 3))
    soundfile.write(path, samples, 44100, format=container, subtype="PCM_24")
    sizes = read_sizes(path)
    assert sizes is not None and sizes.declared == 1000 * 3 * 3
    assert (sizes.missing, sizes.trailing, sizes.true, sizes.open_header) == (0, 0, None, b"")


@pytest.mark.parametrize("container", CONTAINERS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_headers_of_any_kind_are_read(tmp_path: Path, container: str, data: st.DataObject) -> None:
    path = tmp_path / "song"
    soundfile.write(path, np.zeros((100, 2)), 8000, format=container, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, min(120, len(content) - 1)))] = data.draw(
            st.integers(0, 255)
        )
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    sizes = read_sizes(path)
    assert sizes is None or (sizes.missing >= 0 and sizes.trailing >= 0)


def test_a_size_of_two_gigabytes_that_were_cut_is_no_open_one(tmp_path: Path) -> None:
    size = 3_000_000_000
    head = b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, 2, 44100, 176_400, 4, 16)
    path = tmp_path / "song.wav"
    path.write_bytes(head + b"data" + struct.pack("<I", size) + bytes(1000))
    sizes = read_sizes(path)
    assert sizes is not None and sizes.missing == size - 1000


DESCRIPTION = """\
[in#0/mp3 @ 0x55] [warning] Estimating duration from bitrate, this may be inaccurate
[info] Input #0, matroska,webm, from 'file:x.mkv':
[info]   Duration: 01:02:03.50, start: 1.440000, bitrate: 24 kb/s
[info]   Stream #0:0[0x100](und): Video: mpeg4 (Simple Profile), yuv420p, 64x64, 25 fps
[info]   Stream #0:1(eng): Audio: aac (LC), 44100 Hz, 5.1(side), fltp, start 2.929089 (default)
[info]   Stream #0:2: Audio: pcm_s16le, 8000 Hz, 3 channels (FL+FR+LFE), s16, 384 kb/s
[info]   Stream #0:3: Video: png, rgb24(pc), 64x64, 90k tbr (attached pic)
[info] Stream mapping:
[info]   Stream #0:9: Audio: of the output, 1 Hz, mono, flt
[af#0:0 @ 0x55] [info] Reconfiguring filter graph because audio parameters changed to 32000 Hz, mono
[in#0/ogg @ 0x55] [error] Error during demuxing: Not yet implemented
"""


def test_the_description_of_a_file() -> None:
    facts = SourceFacts()
    for line in DESCRIPTION.splitlines():
        facts.hear(line)
    assert (facts.duration_seconds, facts.duration_is_guess) == (3723.5, True)
    assert (facts.start_seconds, facts.is_film, len(facts.streams)) == (1.44, True, 4)
    first, second = facts.sounds
    assert (first.index, first.language, first.is_default) == (1, "eng", True)
    assert (first.layout, first.start_seconds) == ("5.1(side)", 2.929089)
    assert (second.layout, second.start_seconds) == ("3 channels (FL+FR+LFE)", None)
    assert facts.streams[3].is_picture and not facts.streams[3].is_film
    assert facts.changes == ["32000 Hz, mono"]
    assert facts.gave_up.startswith("Error during demuxing")
    assert facts.described.is_set()


def test_a_file_without_a_duration() -> None:
    facts = SourceFacts()
    facts.hear("[info]   Duration: N/A, start: 0.000000, bitrate: N/A")
    assert facts.duration_seconds is None


def test_chunks_of_no_length_come_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, np.zeros((100, 2)), 8000)
    os.truncate(path, 1 << 30)
    with path.open("rb") as file:
        assert len(list(chunks(file, "<"))) == MOST_CHUNKS
