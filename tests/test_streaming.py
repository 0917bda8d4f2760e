"""The streams: exact overlap-add whatever the blocks, rates, delay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke.audio.blocks import Block, Delay, resample
from karaoke.separation.streaming import overlap_add

from .conftest import cut


def join(blocks: Iterator[Block]) -> Block:
    """Put blocks back together."""
    return np.concatenate(list(blocks), axis=-1)


streams = {
    "length": st.integers(1, 500),
    "sizes": st.lists(st.integers(1, 200), min_size=1, max_size=5),
    "segment_length": st.integers(1, 90),
    "overlap": st.floats(0, 0.9),
    "batch_size": st.integers(1, 9),
}


@given(**streams)
@settings(max_examples=400, deadline=None)
def test_identity_comes_back_exactly(
    length: int, sizes: list[int], segment_length: int, overlap: float, batch_size: int
) -> None:
    audio = np.random.default_rng(length).standard_normal((2, length)).astype(np.float32)
    calls: list[int] = []
    done: list[float] = []

    def process(segments: Block) -> Block:
        assert segments.shape[1:] == (2, segment_length)
        calls.append(len(segments))
        return segments

    blocks = overlap_add(
        process,
        cut(audio, sizes),
        segment_length=segment_length,
        overlap=overlap,
        batch_size=batch_size,
        progress=done.append,
    )
    np.testing.assert_array_equal(join(blocks), audio)
    assert all(call == batch_size for call in calls[:-1])
    assert done == sorted(done) and done[-1] == length


@given(**streams, ahead=st.booleans())
@settings(max_examples=200, deadline=None)
def test_result_depends_on_neither_blocks_nor_batch(
    length: int, sizes: list[int], segment_length: int, overlap: float, batch_size: int, ahead: bool
) -> None:
    audio = np.random.default_rng(length).standard_normal((1, length)).astype(np.float32)

    def process(segments: Block) -> Block:
        # Depends on the segment as a whole and has an axis more, as stems do.
        louder = segments * (1 + segments.std(axis=-1, keepdims=True))
        return np.stack([louder, segments[..., ::-1]], axis=1)

    options: dict[str, Any] = {"segment_length": segment_length, "overlap": overlap}
    whole = join(overlap_add(process, [audio], batch_size=1, **options))
    options["ahead"] = ahead
    pieces = join(overlap_add(process, cut(audio, sizes), batch_size=batch_size, **options))
    np.testing.assert_array_equal(pieces, whole)
    assert whole.shape == (2, 1, length)


def test_last_segment_sees_neighbours_before_zeros() -> None:
    seen: list[Block] = []

    def process(segments: Block) -> Block:
        seen.extend(segments)
        return segments

    audio = np.arange(1, 26, dtype=np.float32)[None]
    list(overlap_add(process, [audio], segment_length=10, overlap=0.0, batch_size=2))
    assert [segment[0, 0] for segment in seen] == [1, 11, 16]
    assert not any((segment == 0).any() for segment in seen)


def test_nothing_in_nothing_out() -> None:
    def process(segments: Block) -> Block:
        raise AssertionError("called without a segment")

    empty = np.zeros((2, 0), dtype=np.float32)
    options = {"segment_length": 10, "overlap": 0.5, "batch_size": 2}
    assert list(overlap_add(process, [], **options)) == []
    assert list(overlap_add(process, [empty], **options)) == []


def test_memory_does_not_grow_with_length() -> None:
    held = 0

    def blocks() -> Iterator[Block]:
        nonlocal held
        for _ in range(1000):
            held += 100
            yield np.ones((1, 100), dtype=np.float32)

    for out in overlap_add(lambda s: s, blocks(), segment_length=300, overlap=0.5, batch_size=2):
        held -= out.shape[1]
        assert held <= 4 * 300


def test_an_error_in_the_thread_ahead_reaches_the_caller() -> None:
    def process(segments: Block) -> Block:
        raise ValueError("no result")

    blocks = [np.ones((1, 50), dtype=np.float32)]
    with pytest.raises(ValueError, match="no result"):
        list(overlap_add(process, blocks, segment_length=10, overlap=0.0, batch_size=1, ahead=True))


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 96000])
def test_resampling_a_stream_there_and_back(rate: int, noise: Callable[..., Block]) -> None:
    audio = noise(2, rate)
    there = join(resample(cut(audio, [1000, 17]), rate, 44100))
    assert abs(there.shape[1] - 44100) <= 1
    np.testing.assert_array_equal(there, join(resample([audio], rate, 44100)))
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate, dtype=np.float64)
    tone = tone.astype(np.float32)[None]
    back = join(resample(resample([tone], rate, 44100), 44100, rate))
    middle = slice(rate // 4, 3 * rate // 4)
    assert np.abs(back[:, : tone.shape[1]][:, middle] - tone[:, middle]).max() < 1e-3


def test_delay_gives_back_what_went_in() -> None:
    delay = Delay()
    assert delay.take(3) is None
    list(delay.fill([np.array([[1, 2, 3]], np.float32), np.array([[4, 5]], np.float32)]))
    taken = [delay.take(2), delay.take(2), delay.take()]
    assert [t.tolist() for t in taken if t is not None] == [[[1, 2]], [[3, 4]], [[5]]]
    assert delay.take() is None
