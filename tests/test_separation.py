"""The separator: rates, channels, devices, streaming."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from karaoke.audio.blocks import Block
from karaoke.audio.layouts import LAYOUTS, channel_groups
from karaoke.errors import DeviceMemoryError, UsageError
from karaoke.separation.checkpoints import build_network
from karaoke.separation.devices import choose_device
from karaoke.separation.headers import Header
from karaoke.separation.separator import CHANNEL_GROUPS, Separator
from karaoke.store.loading import load_model

from .conftest import cut


@pytest.fixture
def separator(tiny_header: Header) -> Separator:
    """Separate by random weights."""
    torch.manual_seed(0)
    return Separator(build_network(tiny_header), tiny_header)


@pytest.mark.parametrize("sample_rate", [8000, 44100, 48000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_stems_keep_rate_channels_and_length_and_add_up(
    separator: Separator, noise: Callable[..., Block], channels: int, sample_rate: int
) -> None:
    for length in (1, 7, sample_rate, 2 * sample_rate + 13):
        song = noise(channels, length)
        stems = separator.separate(song, sample_rate)
        assert list(stems) == ["vocals", "instrumental"] == list(separator.stems)
        assert stems["vocals"].shape == stems["instrumental"].shape == song.shape
        assert np.abs(stems["vocals"] + stems["instrumental"] - song).max() < 1e-6
    assert np.abs(stems["vocals"]).max() > 0


def test_streaming_is_the_same_path(separator: Separator, noise: Callable[..., Block]) -> None:
    song = noise(2, 200_000)
    seconds: list[float] = []
    pieces = list(separator.stream(cut(song, [4096]), sample_rate=44100, progress=seconds.append))
    whole = separator.separate(song)
    for stem, audio in whole.items():
        np.testing.assert_array_equal(np.concatenate([p[stem] for p in pieces], axis=1), audio)
    assert seconds[-1] == pytest.approx(200_000 / 44100)
    assert len(pieces) > 2


def test_digital_silence_costs_nothing(
    separator: Separator, noise: Callable[..., Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    song = noise(6, 10 * 44100)
    song[:, 2 * 44100 : 9 * 44100] = 0
    song[3] = 0  # an LFE channel that is empty throughout
    asked: list[int] = []
    run = separator._run

    def counting(mixture: Block) -> Block:
        asked.append(len(mixture))
        return run(mixture)

    monkeypatch.setattr(separator, "_run", counting)
    vocals = separator.separate(song)["vocals"]
    # Segments of a second begin every 0.75 s: three touch the first two seconds, two the last one.
    assert len(asked) == (3 + 2) * 3
    heard = separator.separate(song + np.float32(1e-30))["vocals"]  # the network is asked for all
    assert len(asked) == (3 + 2) * 3 + 13 * 4
    assert np.abs(vocals - heard).max() < 1e-6
    assert np.abs(vocals[0, :44100]).max() > 0.001


def test_models_without_vocals_have_no_instrumental(tiny_header: Header) -> None:
    header = dataclasses.replace(tiny_header, stems=("drums",))
    stems = Separator(build_network(header), header).separate(np.zeros((2, 500), np.float32))
    assert list(stems) == ["drums"]


def test_wrong_shapes(separator: Separator) -> None:
    assert separator.separate([0.0] * 100)["vocals"].shape == (100,)
    for shape in ((1000, 2), (1, 2, 1000)):
        with pytest.raises(UsageError, match=r"Give \(channels, samples\)"):
            separator.separate(np.zeros(shape, np.float32))


def test_memory_that_does_not_suffice(tiny_header: Header) -> None:
    class Greedy(torch.nn.Module):
        """Asks for more memory than there is."""

        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            return torch.zeros(2**60)

    greedy = Separator(Greedy(), tiny_header)
    with pytest.raises(DeviceMemoryError, match="is used up"):
        list(greedy.stream([np.ones((2, 500), np.float32)], sample_rate=44_100, warn=str))


def test_one_dimensional_mono_and_empty_songs(separator: Separator) -> None:
    stems = separator.separate(np.zeros(1000, np.float32))
    assert stems["vocals"].shape == (1000,)
    assert not stems["vocals"].any() and not stems["instrumental"].any()
    assert separator.separate(np.zeros((2, 0), np.float32))["instrumental"].shape == (2, 0)


def test_silent_channels_stay_silent(separator: Separator, noise: Callable[..., Block]) -> None:
    song = np.zeros((6, 60_000), np.float32)
    song[2] = noise(1, 60_000)[0]
    stems = separator.separate(song)
    assert stems["vocals"][2].any()
    for channel in (0, 1, 3, 4, 5):
        assert np.abs(stems["vocals"][channel]).max() == 0


def test_channel_groups_hold_every_channel_once() -> None:
    for channels, groups in CHANNEL_GROUPS.items():
        assert sorted(c for group in groups for c in group) == list(range(channels))


def test_channels_go_as_their_speakers_do(tiny_header: Header) -> None:
    heard: list[np.ndarray] = []

    class Listener(torch.nn.Module):
        """Remembers what it hears."""

        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            heard.append(mixture[0, :, 0].numpy())
            return mixture[:, None]

    song = np.repeat(np.arange(1, 5, dtype=np.float32)[:, None], 500, axis=1)
    separator = Separator(Listener(), tiny_header)
    for layout, pairs in {
        "4.0": [(1, 2), (3, 3), (4, 4)],
        "quad": [(1, 2), (3, 4)],
        "4 channels (FC+FL+FR+LFE)": [(2, 3), (1, 1), (4, 4)],
        "": [(1, 2), (3, 4)],
    }.items():
        heard.clear()
        groups = channel_groups(layout, 4)
        (stems,) = separator.stream([song], sample_rate=44_100, groups=groups)
        assert [tuple(pair) for pair in heard] == pairs, layout
        np.testing.assert_array_equal(stems["vocals"], song)


def test_groups_of_all_layouts_hold_every_channel_once() -> None:
    for layout, speakers in LAYOUTS.items():
        count = len(speakers.split())
        groups = channel_groups(layout, count)
        assert groups is not None and sorted(sum(groups, ())) == list(range(count)), layout
    assert channel_groups("5.1", 4) is channel_groups("4 channels", 4) is None


def test_overlap_and_device_are_checked(tiny_header: Header) -> None:
    network = build_network(tiny_header)
    with pytest.raises(UsageError, match=r"overlap 1.0 is not in \[0, 1\)"):
        Separator(network, tiny_header, overlap=1.0)
    with pytest.raises(UsageError, match="unknown device"):
        choose_device("abacus")
    device, reason = choose_device("cpu")
    assert (device.type, reason) == ("cpu", "as asked")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="'cuda' is not available"):
            choose_device("cuda")
        assert choose_device()[0].type in ("cpu", "mps")


@pytest.mark.gpu
@pytest.mark.skipif(
    not (torch.cuda.is_available() or torch.backends.mps.is_available()),
    reason="no GPU that torch can use",
)
def test_gpu_gives_what_the_cpu_gives(noise: Callable[..., Block]) -> None:
    song = noise(2, 500_000)
    on_cpu = load_model(device="cpu").separate(song)
    on_gpu = load_model(device="auto").separate(song)
    assert np.abs(on_cpu["vocals"] - on_gpu["vocals"]).max() < 1e-3


class ShortOfMemory(torch.nn.Module):
    """Half the mixture; but only so many segments at a time fit into its device's memory."""

    def __init__(self, fits: int) -> None:
        super().__init__()
        self.fits = fits
        self.batches: list[tuple[str, int]] = []

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        self.batches.append((mixture.device.type, len(mixture)))
        if mixture.device.type != "cpu" and len(mixture) > self.fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return 0.5 * torch.ones_like(mixture, device="cpu")[:, None]


@pytest.mark.parametrize(("fits", "ends_on"), [(3, "meta"), (1, "cpu")])
def test_less_memory_than_hoped_for(tiny_header: Header, fits: int, ends_on: str) -> None:
    # A device that holds no data stands for a GPU: what it is asked to do is what counts.
    network = ShortOfMemory(fits)
    separator = Separator(network, tiny_header, device="meta")
    song = np.ones((2, 44_100 * 9), np.float32)
    warnings: list[str] = []
    stream = separator.stream([song], sample_rate=44_100, warn=warnings.append)
    for stems in stream:
        assert np.abs(stems["vocals"] - 0.5).max() < 1e-4
    assert [size for device, size in network.batches if device == "meta"][:3] == [8, 4, 2]
    assert network.batches[-1][0] == separator.device.type == ends_on
    words = "smaller batches" if ends_on == "meta" else "went on with the CPU"
    assert words in warnings[-1]
    assert not list(separator.stream([], sample_rate=44_100, warn=warnings.append))
    assert len(warnings) == (2 if ends_on == "meta" else 3)  # told once, of the song it befell


def test_damaged_samples_are_silenced(tiny_model: Path) -> None:
    separator = load_model(tiny_model, device="cpu")
    song = np.random.default_rng(0).standard_normal((2, 50_000)).astype(np.float32)
    song[0, 100:103] = np.nan, 1e30, -np.inf
    with pytest.warns(UserWarning, match="3 samples were NaN, infinite or out of range"):
        stems = separator.separate(song)
    for stem in stems.values():
        assert np.isfinite(stem).all() and np.abs(stem).max() < 100
    song[0, 100:103] = 0
    expected = separator.separate(song)
    np.testing.assert_array_equal(stems["vocals"], expected["vocals"])


def test_the_threads_of_the_host_keep_their_cores(tiny_model: Path) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    ours: list[int] = []
    try:
        torch.set_num_threads(3)
        separator = load_model(tiny_model, device="cpu")
        separator.network.register_forward_hook(lambda *_: ours.append(torch.get_num_threads()))
        separator.separate(np.ones((2, 50_000), np.float32))
        assert set(ours) == {1}, "each segment has one core"
        host = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        host.start()
        host.join()
        assert (seen, torch.get_num_threads()) == ([3], 3)
    finally:
        torch.set_num_threads(before)
