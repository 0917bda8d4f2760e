"""Sound through filters of ffmpeg, and what becomes of errors on the way."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from karaoke.audio.blocks import Block, from_interleaved, interleaved
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.audio.filtering import filtered, measure_loudness
from karaoke.errors import KaraokeError

Noise = Callable[..., Block]


def test_interleaving_and_back_changes_nothing_and_drops_what_is_not_whole() -> None:
    seed = secrets.randbits(32)
    rng = np.random.default_rng(seed)
    channels, length = int(rng.integers(1, 7)), int(rng.integers(1, 500))
    block = rng.standard_normal((channels, length)).astype(np.float32)
    raw = interleaved(block)
    assert np.array_equal(np.frombuffer(raw, "<f4")[: 2 * channels : channels], block[0, :2]), seed
    assert np.array_equal(from_interleaved(raw + b"x" * (4 * channels - 1), channels), block), seed


def test_a_filter_that_does_nothing_changes_nothing(noise: Noise) -> None:
    audio = noise(2, 300_000)
    through = filtered(np.split(audio, 3, axis=1), sample_rate=44100, channels=2, filters="anull")
    assert np.array_equal(np.concatenate(list(through), axis=1), audio)


def broken(noise: Noise) -> Iterator[Block]:
    """Yield a block, then fail."""
    yield noise(2, 5000)
    raise KaraokeError("the disk is on fire")


def test_an_error_of_the_source_is_the_error_of_all_that_ffmpeg_is_fed(noise: Noise) -> None:
    with pytest.raises(KaraokeError, match="on fire"):
        list(filtered(broken(noise), sample_rate=44100, channels=2, filters="anull"))
    with pytest.raises(KaraokeError, match="on fire"):
        measure_loudness(broken(noise), sample_rate=44100, channels=2)


def test_a_filter_that_ffmpeg_refuses_is_named(noise: Noise) -> None:
    with pytest.raises(KaraokeError, match=r"^volume: "):
        list(filtered([noise(2, 50)], sample_rate=44100, channels=2, filters="volume=nonsense"))


def test_a_filter_whose_output_nobody_wants_ends(noise: Noise) -> None:
    through = filtered(repeat(noise(2, 50_000)), sample_rate=44100, channels=2, filters="anull")
    assert next(through).shape[0] == 2
    del through  # and with it what feeds ffmpeg, or this would never end


def test_what_an_ffmpeg_that_is_a_script_has_started_ends_with_it(
    noise: Noise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "ffmpeg"
    does = f'*pipe:0*) sleep 1000; true;; *) exec {find_ffmpeg()} "$@";;'
    script.write_text(f'#!/bin/sh\ncase "$*" in {does} esac\n')
    script.chmod(0o755)
    monkeypatch.setenv("KARAOKE_FFMPEG", str(script))
    # It would hold the pipe of messages open, and be waited for, for as long as it sleeps.
    with pytest.raises(KaraokeError, match="on fire"):
        measure_loudness(broken(noise), sample_rate=44100, channels=2)
