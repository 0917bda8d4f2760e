"""Run a network on songs of any length, sample rate and channel count."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from threading import Lock
from typing import cast

import numpy as np
import torch
from torch import nn

from karaoke.audio.blocks import Block, Delay, Warn, resample, shorter, sound_only
from karaoke.errors import DeviceMemoryError, UsageError
from karaoke.separation.cores import usable_cores
from karaoke.separation.devices import single_threads
from karaoke.separation.gpu import fit_to_gpu, in_half_precision
from karaoke.separation.headers import Header, stem_names
from karaoke.separation.qualities import find_quality
from karaoke.separation.streaming import SecondsDone, overlap_add

#: Indices of channels that form a left and right pair, or stand alone.
Groups = tuple[tuple[int, ...], ...]
#: Each takes about 110 MB, of which a machine with many cores could run out.
MOST_WORKERS = 8
#: How often to halve the batch before giving up on a GPU.
MOST_HALVINGS = 2
#: An array with more must be (samples, channels) by mistake.
MOST_CHANNELS = 64
#: Left and right pairs by number of channels, and channels that stand alone. For unknown layouts,
#: the commonest is assumed: FL FR FC LFE BL BR SL SR or a shorter relative.
CHANNEL_GROUPS: dict[int, Groups] = {
    1: ((0,),),
    2: ((0, 1),),
    3: ((0, 1), (2,)),
    4: ((0, 1), (2, 3)),
    5: ((0, 1), (2,), (3, 4)),
    6: ((0, 1), (2,), (3,), (4, 5)),
    7: ((0, 1), (2,), (3,), (4,), (5, 6)),
    8: ((0, 1), (2,), (3,), (4, 5), (6, 7)),
}


def check_overlap(overlap: float | None) -> None:
    """Reject an impossible overlap; None stands for the model's.

    Raises
    ------
    UsageError
        The overlap is not in [0, 1).
    """
    if overlap is not None and not 0 <= overlap < 1:
        raise UsageError(
            f"overlap {overlap} is not in [0, 1)", hint="The default is a good choice."
        )


class Separator:
    """A network, ready to be used on songs of any length, sample rate and channel count.

    Parameters
    ----------
    network, header
        From :func:`karaoke.separation.checkpoints.load_checkpoint`.
    device
        Where to run: a torch device.
    overlap
        Share of a segment that overlaps the next, in [0, 1); None for the model's.
    quality
        A key of :data:`karaoke.separation.qualities.QUALITIES`.

    Attributes
    ----------
    stems
        Names of the outputs: the network's, and ``instrumental``, everything but the vocals.
    sample_rate
        The network's, in Hz; also the default of :meth:`separate`.
    half
        Whether the network runs in half precision: on a GPU where that was measured to be safe.
    """

    def __init__(
        self,
        network: nn.Module,
        header: Header,
        *,
        device: torch.device | str = "cpu",
        overlap: float | None = None,
        quality: str = "default",
    ) -> None:
        votes = find_quality(quality)
        keep = getattr(network, "keep", None)  # only ensembles have it
        if votes and keep is not None:
            keep(votes)
        self.network = network.eval()
        self.sample_rate = header.sample_rate
        self.overlap = header.overlap if overlap is None else overlap
        check_overlap(self.overlap)
        self.segment_length = round(header.segment_seconds * header.sample_rate)
        self.network_channels = header.channels
        self.network_stems = header.stems
        self.stems = stem_names(header.stems)
        self._halvings = 0
        self._one_at_a_time = Lock()
        self._move_to(torch.device(device))

    def _move_to(self, device: torch.device) -> None:
        """Move to a device, and process as many segments at a time as suit it."""
        self.device = device
        self.network.to(device)
        self._workers = None
        self.half = False
        if device.type != "cpu":
            length = self.segment_length
            fit = fit_to_gpu(
                self.network, device, channels=self.network_channels, segment_length=length
            )
            self._at_a_time, self.half = fit.batch_size, fit.half
        else:
            self._at_a_time = min(usable_cores(), MOST_WORKERS)
            # One segment per thread and core beats one segment on all cores: the threads would
            # spend an LSTM's many small steps waiting for each other, all the more when another
            # program keeps a core busy.
            self._workers = single_threads(self._at_a_time)

    @property
    def batch_size(self) -> int:
        """How many segments are worked on at a time."""
        return self._at_a_time

    @property
    def stride_seconds(self) -> float:
        """How much of a song each further segment adds."""
        return max(1, round(self.segment_length * (1 - self.overlap))) / self.sample_rate

    def _use_less(self, warn: Warn) -> bool:
        """Halve the batch, or move to the CPU at last; return whether either was possible."""
        short = f"{self.device} ran out of memory; went on with"
        if self._at_a_time > 1 and self._halvings < MOST_HALVINGS:
            self._halvings += 1
            self._at_a_time //= 2
            warn(f"{short} smaller batches")
        elif self.device.type != "cpu":
            self._move_to(torch.device("cpu"))
            warn(f"{short} the CPU")
        else:
            return False
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return True

    @torch.inference_mode()
    def _run(self, mixture: Block) -> Block:
        """Run the network on ``(batch, C, N)``: ``(batch, S, C, N)``."""
        try:
            estimates = self._estimate(torch.from_numpy(mixture).to(self.device))
            stems: Block = estimates.float().cpu().numpy()
        except RuntimeError as error:
            # CUDA and the CPU allocator raise different errors; torch has no common class.
            if "out of memory" not in str(error) and "allocate" not in str(error):
                raise
            raise DeviceMemoryError(
                f"the memory of {self.device} is used up", hint="Close other programs."
            ) from error
        return stems

    def _estimate(self, mixture: torch.Tensor) -> torch.Tensor:
        """Run the network in the precision that suits it."""
        if self.half:
            estimates = in_half_precision(self.network, mixture)
            if torch.isfinite(estimates).all():
                return estimates
            self.half = False  # numbers went beyond its range, and may do so again
        return cast(torch.Tensor, self.network(mixture))

    def _process(self, segments: Block, groups: Groups | None, warn: Warn) -> list[Block]:
        """Separate segments ``(batch, channels, N)`` into ``(S, channels, N)`` each.

        Songs that are separated concurrently take turns here.
        """
        with self._one_at_a_time:
            while True:
                size = self._at_a_time
                parts = [segments[p : p + size] for p in range(0, len(segments), size)]
                try:
                    return [
                        stems
                        for part in parts
                        for several in self._run_part(part, groups)
                        for stems in several
                    ]
                except DeviceMemoryError:
                    if not self._use_less(warn):
                        raise

    def _run_part(self, segments: Block, groups: Groups | None) -> Iterable[Block]:
        """Separate segments that fit into memory together, into one array or several."""
        separate = partial(self._separate_groups, groups=groups)
        if self._workers is None:
            return [separate(segments)]
        return self._workers.map(separate, np.split(segments, len(segments)))

    def _separate_groups(self, segments: Block, groups: Groups | None) -> Block:
        """Map the song's channels to the network's, group by group, and back."""
        channels = segments.shape[1]
        groups = groups or CHANNEL_GROUPS.get(channels) or tuple((c,) for c in range(channels))
        stems = np.empty((len(segments), len(self.network_stems), *segments.shape[1:]), np.float32)
        for group in groups:
            heard = segments[:, list(group)]
            if not heard.any():  # a mask leaves nothing of digital silence, so nothing is asked
                stems[:, :, list(group)] = 0
                continue
            if len(group) < self.network_channels:
                heard = np.repeat(heard, self.network_channels, axis=1)
            elif len(group) > self.network_channels:
                heard = heard.mean(axis=1, keepdims=True)
            separated = self._run(np.ascontiguousarray(heard))
            if separated.shape[2] > len(group):
                separated = separated.mean(axis=2, keepdims=True)
            stems[:, :, list(group)] = separated
        return stems

    def stream(
        self,
        blocks: Iterable[Block],
        *,
        sample_rate: int,
        groups: Groups | None = None,
        ahead: bool = True,
        progress: SecondsDone | None = None,
        warn: Warn = warnings.warn,
    ) -> Iterator[dict[str, Block]]:
        """Separate a stream as it arrives, in memory that does not grow with its length.

        Parameters
        ----------
        blocks
            float32 ``(channels, samples)``, of any lengths.
        sample_rate
            Of the blocks, in Hz.
        groups
            Channels that form a left and right pair, or stand alone; every index exactly once.
            By default, those of the commonest layout with as many channels.
        ahead
            Whether to read on while a result is in use, which is faster. Without it, what can be
            separated of blocks that arrive slowly comes before the next of them is asked for.
        progress
            Called with the number of seconds finished.
        warn
            Called with warnings about this song, each a sentence without a full stop.

        Yields
        ------
        dict
            Stem name to ``(channels, samples)``, with the input's sample rate, channels and total
            length. The instrumental is the input minus the vocals, so the two add up to it.
        """
        source = Delay()
        report = None if progress is None else lambda done: progress(done / self.sample_rate)
        estimates = overlap_add(
            partial(self._process, groups=groups, warn=warn),
            resample(source.fill(sound_only(blocks, warn)), sample_rate, self.sample_rate),
            segment_length=self.segment_length,
            overlap=self.overlap,
            batch_size=self._at_a_time,
            ahead=ahead,
            progress=report,
        )
        count = len(self.network_stems)
        flat = (block.reshape(-1, block.shape[-1]) for block in shorter(estimates))
        for estimate in resample(flat, self.sample_rate, sample_rate):
            mixture = source.take(estimate.shape[-1])
            if mixture is not None:
                shaped = estimate[:, : mixture.shape[1]].reshape(count, *mixture.shape)
                yield self._complete(mixture, shaped)
        # Resampling twice may lose a sample; it stays in the instrumental.
        rest = source.take()
        if rest is not None:
            yield self._complete(rest, np.zeros((count, *rest.shape), np.float32))

    def _complete(self, mixture: Block, estimates: Block) -> dict[str, Block]:
        """Name the estimates and add the instrumental."""
        stems = dict(zip(self.network_stems, estimates, strict=True))
        if "vocals" in stems:
            stems["instrumental"] = mixture - stems["vocals"]
        return stems

    def separate(self, mixture: Block, sample_rate: int | None = None) -> dict[str, Block]:
        """Separate a whole song.

        Parameters
        ----------
        mixture
            float32 ``(channels, samples)``; one channel may also come as ``(samples,)``.
        sample_rate
            In Hz; by default, the network's.

        Returns
        -------
        dict
            Stem name to an array of the mixture's shape.

        Raises
        ------
        UsageError
            The mixture has another shape, or more than 64 channels.
        DeviceMemoryError
            The device runs out of memory.
        """
        song = np.atleast_2d(np.asarray(mixture, dtype=np.float32))
        if song.ndim != 2 or len(song) > MOST_CHANNELS:
            raise UsageError(
                f"mixture has shape {np.shape(mixture)}", hint="Give (channels, samples)."
            )
        pieces = list(self.stream([song], sample_rate=sample_rate or self.sample_rate))
        if not pieces:
            return {name: np.zeros_like(song) for name in self.stems}
        return {
            name: np.concatenate([piece[name] for piece in pieces], axis=1).reshape(
                np.shape(mixture)
            )
            for name in pieces[0]
        }
