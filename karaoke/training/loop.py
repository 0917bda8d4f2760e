"""The training loop: mixtures in, checkpoints out, resumable at any step."""

from __future__ import annotations

import copy
import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset

from karaoke.checkpoints import Header, build_network, load_checkpoint, save_checkpoint
from karaoke.metrics import is_singing, si_sdr_gain, windows
from karaoke.networks import NETWORKS
from karaoke.spectral import Stft
from karaoke.training.data import SAMPLE_RATE, MixtureDataset, Pool, Recording
from karaoke.training.losses import separation_loss

#: A step that took longer than this many times the usual one was held up by something else.
STALL_FACTOR = 4.0


@dataclass(frozen=True)
class Recipe:
    """Everything that a run depends on but the recordings.

    Parameters
    ----------
    architecture, config
        What is trained.
    time_budget
        Seconds of training over which the learning rate warms up and falls to zero.
    batch_size, segment_seconds
        Mixtures per step, shared among all processes, and their length.
    learning_rate, weight_decay, clip_norm
        Of AdamW, at its peak, and of the gradient.
    ema_decay
        Of the averaged weights, which are the ones that are validated and shipped.
    validate_every
        In steps.
    seed
        Of weights and mixtures.
    """

    architecture: str
    config: dict[str, Any]
    time_budget: float
    batch_size: int = 12
    segment_seconds: float = 3.0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    validate_every: int = 150
    seed: int = 1


@dataclass
class State:
    """What a run has to remember from one step to the next, besides the weights."""

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf


def learning_rate(recipe: Recipe, seconds: float) -> float:
    """Warm up over the first 3 % of the budget, then fall along a cosine to 1 % of the peak."""
    progress = min(1.0, seconds / recipe.time_budget)
    warm = min(1.0, (progress + 1e-3) / 0.03)
    return recipe.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def singing_windows(
    recordings: Sequence[Recording], window_seconds: float = 10.0
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield the windows of the validation songs in which somebody sings.

    Yields
    ------
    tuple
        Song, vocals ``(C, N)``, accompaniment ``(C, N)``.
    """
    chosen = [r for r in recordings if r.split == "validation"]
    accompaniments = Pool([r for r in chosen if r.role == "song-accompaniment"]).groups
    for recording in (r for r in chosen if r.role == "song-vocals"):
        other = accompaniments[recording.group][0]
        length = min(recording.length, other.length)
        vocals = torch.from_numpy(recording.read(0, length))
        for window in windows(length, round(window_seconds * SAMPLE_RATE)):
            if is_singing(vocals, window):
                accompaniment = other.read(window.start, window.stop - window.start)
                yield recording.group, vocals[:, window], torch.from_numpy(accompaniment)


@torch.no_grad()
def validate(
    network: nn.Module, recordings: Sequence[Recording], device: str
) -> dict[str, dict[str, float]]:
    """Measure the SI-SDR that separation gains over the mixture, window by window.

    Returns
    -------
    dict
        For each song, and for ``all``: the medians of ``vocals`` and ``instrumental`` in dB.
    """
    network.eval()
    rank, world = rank_and_world()
    mine: list[tuple[str, float, float]] = []
    for index, (song, vocals, accompaniment) in enumerate(singing_windows(recordings)):
        if index % world != rank:
            continue
        mixture = vocals + accompaniment
        estimate = network(mixture[None].to(device))[0, 0].float().cpu()
        vocals_gain = si_sdr_gain(estimate, vocals, mixture)
        mine.append((song, vocals_gain, si_sdr_gain(mixture - estimate, accompaniment, mixture)))
    shares: list[Any] = [mine]
    if world > 1:
        shares = [None] * world
        distributed.all_gather_object(shares, mine)
    gains: dict[str, list[tuple[float, float]]] = {}
    for song, *gain in itertools.chain.from_iterable(shares):
        gains.setdefault(song, []).append((gain[0], gain[1]))
        gains.setdefault("all", []).append((gain[0], gain[1]))
    medians = {song: torch.tensor(pairs).median(dim=0).values for song, pairs in gains.items()}
    return {
        song: {"vocals": round(float(m[0]), 2), "instrumental": round(float(m[1]), 2)}
        for song, m in medians.items()
    }


def rank_and_world() -> tuple[int, int]:
    """Tell which of how many training processes this is; ``(0, 1)`` outside ``torchrun``."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


class Trainer:
    """One run in one folder: ``last.pt`` to resume from, ``best.safetensors``, ``log.jsonl``.

    Parameters
    ----------
    recipe
        What to do.
    recordings
        To train and to validate on.
    folder
        Of the run; an existing one is resumed.
    device
        A torch device; on any of them the network runs in bfloat16 and the loss in float32.
    start_from
        A checkpoint whose weights a new run begins with, instead of random ones.
    """

    def __init__(
        self,
        recipe: Recipe,
        recordings: Sequence[Recording],
        folder: Path,
        device: str = "cpu",
        start_from: Path | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.recordings, self.folder, self.device = recipe, recordings, folder, device
        # In full: a checkpoint must not change its meaning when a default does.
        config = asdict(NETWORKS[recipe.architecture][1](**recipe.config))
        self.header = Header(recipe.architecture, config, SAMPLE_RATE, 2, ("vocals",), 10.0, 0.25)
        self.network = build_network(self.header).to(device)
        self.data = MixtureDataset(
            recordings,
            segment_seconds=recipe.segment_seconds,
            seed=recipe.seed,
            length=1_000_000_000,
        )
        self.stft = Stft(2048, 512).to(device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.state = State()
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "last.pt").exists():
            self._resume()
        else:
            if start_from is None:
                self._calibrate()
            else:
                self.network.load_state_dict(load_checkpoint(start_from)[0].state_dict())
            self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.parallel: nn.Module = self.network
        if distributed.is_initialized():
            self.parallel = DistributedDataParallel(self.network)

    def _calibrate(self) -> None:
        """Let the network see the statistics of its input, if it asks for them."""
        calibrate = getattr(self.network, "calibrate", None)
        if calibrate is not None:
            # Beyond the end: mixtures that training does not see.
            items = torch.stack([self.data[self.data.length + i] for i in range(64)])
            calibrate(items.sum(dim=1).to(self.device))

    def _resume(self) -> None:
        """Go on from ``last.pt``."""
        saved = torch.load(self.folder / "last.pt", map_location=self.device, weights_only=True)
        self.network.load_state_dict(saved["network"])
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.state = State(**saved["state"])

    def save(self) -> None:
        """Write what :meth:`_resume` reads, replacing the old file at once."""
        part = self.folder / "last.pt.part"
        saved = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "state": asdict(self.state),
        }
        torch.save(saved, part)
        part.replace(self.folder / "last.pt")

    def batches(self, workers: int) -> DataLoader[Tensor]:
        """Make the mixtures that this run has not seen yet."""
        rank, world = rank_and_world()
        start = self.state.step * self.recipe.batch_size
        rest = Subset(self.data, range(start + rank, self.data.length, world))
        share = self.recipe.batch_size // world
        return DataLoader(
            rest,
            batch_size=share,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=lambda _: torch.set_num_threads(1),
        )

    def train_step(self, stems: Tensor) -> float:
        """Learn from a batch ``(B, 2, C, N)`` of vocals and accompaniments; return the loss."""
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.state.seconds)
        stems = stems.to(self.device)
        with torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16):
            estimate = self.parallel(stems.sum(dim=1))[:, 0]
        loss = separation_loss(estimate.float(), stems[:, 0], self.stft)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.state.step += 1
        # Early averages follow quickly: the first weights are not worth remembering.
        decay = min(self.recipe.ema_decay, self.state.step / (self.state.step + 20))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)
        return float(loss.detach())

    def run(self, workers: int = 1) -> None:
        """Train until the time budget is used up."""
        losses: list[float] = []
        usual = math.inf
        started = time.perf_counter()
        for batch in self.batches(workers):
            losses.append(self.train_step(batch))
            elapsed = time.perf_counter() - started
            usual = min(usual, elapsed)
            self.state.seconds += self._agreed(min(elapsed, STALL_FACTOR * usual))
            done = self.state.seconds >= self.recipe.time_budget
            if done or self.state.step % self.recipe.validate_every == 0:
                self.report(sum(losses) / len(losses))
                losses.clear()
            if done:
                return
            started = time.perf_counter()

    def _agreed(self, seconds: float) -> float:
        """Take the first process' clock as everybody's, so that all stop at the same step."""
        if not distributed.is_initialized():
            return seconds
        clock = torch.tensor(seconds, device=self.device)
        distributed.broadcast(clock, 0)
        return float(clock)

    def report(self, loss: float) -> None:
        """Validate, log, and write the checkpoints."""
        figures = validate(self.average, self.recordings, self.device)
        line = {**asdict(self.state), "loss": round(loss, 5), "si_sdr_gain_db": figures}
        line["seconds"] = round(self.state.seconds, 1)
        if rank_and_world()[0] != 0:
            return
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        score = figures["all"]["vocals"] + figures["all"]["instrumental"]
        save_checkpoint(self.folder / "last.safetensors", self.average, self.header)
        if score > self.state.best:
            self.state.best = score
            save_checkpoint(self.folder / "best.safetensors", self.average, self.header)
        self.save()
