"""The training loop: mixtures in, checkpoints out, resumable at any step."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset

from karaoke.errors import UsageError
from karaoke.files import writing_to
from karaoke.separation.checkpoints import build_network, save_checkpoint
from karaoke.separation.spectral import Stft
from karaoke.training.averages import Averages
from karaoke.training.corpus import Recording
from karaoke.training.listening import Listener
from karaoke.training.losses import Objective
from karaoke.training.masks import require_masks
from karaoke.training.mixtures.data import Mixture, MixtureDataset
from karaoke.training.optimizers import OPTIMIZERS
from karaoke.training.recipe import Recipe, header_of, in_full
from karaoke.training.signals import finishing_steps, prepare_worker
from karaoke.training.states import State, diverged, no_state, read_state, write_state
from karaoke.training.summary import run_facts
from karaoke.training.transfer import (
    Start,
    adopt_encoder,
    adopt_weights,
    load_teacher,
    require_encoder,
)
from karaoke.training.validation import SongFigures, rank_and_world, score, validate

#: Transform of the losses: 46 ms windows, a compromise between consonants and low notes.
LOSS_STFT = (2048, 512)
#: Number of mixtures; no run gets to the end.
LENGTH = 1_000_000_000
#: Start from random weights, without a teacher.
NOTHING = Start()
#: Mixtures per step unless the recipe says otherwise; GPUs are fast at large batches.
BATCH_SIZES = {"cpu": 12, "mps": 24, "cuda": 96}


class Trainer:
    """One run in one folder.

    It writes ``last.pt`` to resume from; ``best.safetensors`` and ``last.safetensors``, each with
    a ``.json`` that says how it was made; and ``log.jsonl``.

    Parameters
    ----------
    recipe
        What to train, and how.
    recordings
        What to train and validate on.
    folder
        Folder of the run; an existing one is resumed.
    device
        A torch device.
    start
        What a new run starts from, and its teacher.
    listeners
        Are told how the run goes, in the first process only.

    Raises
    ------
    UsageError
        The folder belongs to another run, or the batch is too small for this many processes.
    DamagedModelError
        Its ``last.pt`` cannot be read.
    WriteError, PermissionDeniedError
        The folder cannot be written to.
    """

    def __init__(
        self,
        recipe: Recipe,
        recordings: Sequence[Recording],
        folder: Path,
        device: str = "cpu",
        start: Start = NOTHING,
        listeners: Sequence[Listener] = (),
    ) -> None:
        torch.manual_seed(recipe.seed)
        if recipe.batch_size == 0:
            recipe = replace(recipe, batch_size=BATCH_SIZES[torch.device(device).type])
        self.recipe, self.recordings, self.folder, self.device = recipe, recordings, folder, device
        if recipe.batch_size < rank_and_world()[1]:
            raise UsageError(
                f"batch_size {recipe.batch_size} is too small for {rank_and_world()[1]} processes"
            )
        self.header = header_of(recipe)
        self.network = build_network(self.header).to(device)
        if recipe.freeze_encoder:
            require_encoder(self.network).requires_grad_(False)
        if recipe.mask_figures:
            require_masks(self.network)
        self.data = MixtureDataset(
            recordings, recipe.mixtures, seed=recipe.seed, length=LENGTH, stems=recipe.stems
        )
        self.objective = Objective(
            self.network,
            recipe.loss,
            len(recipe.stems),
            Stft(*LOSS_STFT).to(device),
            teacher=load_teacher(start, recipe.stems).to(device) if recipe.hold else None,
            hold=recipe.hold,
        )
        self.optimizer = OPTIMIZERS[recipe.optimizer](
            self.network, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.state = State()
        self.saved_step: int | None = None
        self.listeners = listeners if rank_and_world()[0] == 0 else ()
        self.stop_signal = 0
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._begin(start)
        self.parallel: nn.Module = self.objective
        if distributed.is_initialized():
            self.parallel = DistributedDataParallel(self.objective)

    def _begin(self, start: Start) -> None:
        """Resume this run, branch off from another, or start from the given weights."""
        if (self.folder / "last.pt").exists():
            self._resume(self.folder)
        elif start.branch_from is not None:
            self._branch(start.branch_from)
        else:
            if start.start_from is None:
                self._calibrate()
            else:
                adopt_weights(self.network, start.start_from)
            if start.init_encoder is not None:
                adopt_encoder(self.network, start.init_encoder)
            self.averages = Averages(self.network, self.recipe.ema_decays)
        if self.state.branched:
            end = self.state.branched + self.recipe.decay_steps
            self.recipe = replace(self.recipe, steps=end, time_budget=0.0)

    def _calibrate(self) -> None:
        """Set the statistics of the network's input, if it has any."""
        calibrate = getattr(self.network, "calibrate", None)
        if calibrate is not None:
            # Mixtures beyond the end, which training does not see.
            items = torch.stack([self.data[self.data.length + i].parts for i in range(64)])
            calibrate(items.sum(dim=1).to(self.device))

    def _branch(self, run: Path) -> None:
        """Branch off from another run, which stays as it is; or raise UsageError."""
        if not (run / "last.pt").exists():
            raise UsageError(f'--branch-from "{run}": no saved run')
        if self.recipe.schedule != "constant" or not self.recipe.decay_steps:
            raise UsageError(
                "--branch-from: the learning rate would not decay",
                hint='Set schedule="constant" and decay_steps.',
            )
        self._resume(run)
        self.state = replace(
            self.state, best=-math.inf, quiet=False, stale=0, branched=self.state.step
        )
        self.saved_step = None

    def _resume(self, run: Path) -> None:
        """Resume from the ``last.pt`` of a run."""
        path = run / "last.pt"
        saved = read_state(path)
        known = (in_full(saved["header"]), saved.get("optimizer_name", self.recipe.optimizer))
        if known != (asdict(self.header), self.recipe.optimizer):
            raise UsageError(
                f'"{run}": a run of another network or optimizer',
                hint="Resume it with its own recipe, or choose another folder.",
            )
        try:
            self.network.load_state_dict(saved["network"])
            self.averages = Averages(self.network, self.recipe.ema_decays)
            self.averages.load_state_dict(saved["averages"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.state = State(**saved["state"])
            if "quiet" not in saved["state"]:
                self.state.best = -math.inf  # it was measured differently
            torch.set_rng_state(saved["random"])
            if self.device.startswith("cuda"):
                torch.cuda.set_rng_state(saved["cuda_random"], self.device)
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise no_state(path, "its parts do not fit") from error
        self.saved_step = self.state.step

    def save(self) -> None:
        """Write what :meth:`_resume` reads, replacing the old file atomically."""
        saved = {
            "network": self.network.state_dict(),
            "averages": self.averages.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "optimizer_name": self.recipe.optimizer,
            "state": asdict(self.state),
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state(self.device)
            if self.device.startswith("cuda")
            else None,
            "header": asdict(self.header),
        }
        write_state(self.folder / "last.pt", saved)
        self.saved_step = self.state.step

    @property
    def average(self) -> nn.Module:
        """The first average."""
        return self.averages.networks[0]

    @property
    def progress(self) -> float:
        """How much of the run is done, in [0, 1]."""
        return self.recipe.progress(self.state.step, self.state.seconds)

    def batches(self, workers: int) -> DataLoader[Mixture]:
        """Load the mixtures that this run has not seen yet."""
        rank, world = rank_and_world()
        start = self.state.step * self.recipe.batch_size
        rest = Subset(self.data, range(start + rank, self.data.length, world))
        return DataLoader(
            rest,
            batch_size=self.recipe.batch_size // world,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            pin_memory=self.device.startswith("cuda"),
            worker_init_fn=prepare_worker,
        )

    def train_step(self, batch: Mixture) -> float:
        """Train on a batch of mixtures, and return the loss."""
        self.network.train()
        if self.recipe.freeze_encoder:
            require_encoder(self.network).eval()  # keeps the statistics of its norms too
        if self.recipe.freeze_norms:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.state.step, self.progress)
        self.optimizer.zero_grad()
        passes = [part.chunk(self.recipe.accumulate) for part in batch]
        total = 0.0
        for index, (parts, band_hz) in enumerate(zip(*passes, strict=True)):
            with self._without_exchange(index < len(passes[0]) - 1):
                loss = self.parallel(parts.to(self.device, non_blocking=True), band_hz)
                loss = loss * len(parts) / len(batch.parts)
                torch.autograd.backward(loss)
            total += float(loss.detach())
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        # Before the step, which would spoil the weights and their averages.
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise diverged(self.folder, self.state.step + 1, total, float(norm), self.saved_step)
        self.optimizer.step()
        self.state.step += 1
        self.averages.update(self.network, self.state.step)
        return total

    def _without_exchange(self, wanted: bool) -> contextlib.AbstractContextManager[None]:
        """Keep gradients in this process while more passes of the same step follow."""
        if wanted and isinstance(self.parallel, DistributedDataParallel):
            return self.parallel.no_sync()
        return contextlib.nullcontext()

    def run(self, workers: int = 1, stop_after: float = math.inf) -> bool:
        """Train until the run is over.

        Parameters
        ----------
        workers
            Number of processes that make mixtures.
        stop_after
            Save and stop after this many seconds; the next call resumes.

        Returns
        -------
        bool
            Whether the run is over; False if it was stopped by the time limit or a signal.
        """
        clock = time.process_time if self.recipe.clock == "cpu" else time.perf_counter
        began = time.perf_counter()
        with finishing_steps(self._remember):
            if self._is_over():
                return True
            before = clock()
            for batch in self.batches(workers):
                loss = self.train_step(batch)
                stop = self.stop_signal != 0 or time.perf_counter() - began > stop_after
                seconds, stop = self._agreed(clock() - before, stop)
                self.state.seconds += seconds
                if self._after_step(loss):
                    return True
                if stop:
                    if rank_and_world()[0] == 0:
                        self.save()
                    return False
                before = clock()  # validation does not count as training
        raise AssertionError("there is no end of mixtures")

    def _after_step(self, loss: float) -> bool:
        """Log, validate and save when due; return whether the run is over."""
        state = self.state
        state.loss += loss
        state.counted += 1
        for listener in self.listeners:
            listener.on_step(self, loss)
        over = self._is_over()
        if over or state.step % self.recipe.validate_every == 0:
            self.report()
            return over or self._is_over()
        if state.step % self.recipe.log_every == 0:
            self._log({})
        return False

    def _is_over(self) -> bool:
        """Return whether the run has reached its end, or the end of its patience."""
        patience = self.recipe.patience
        return self.progress >= 1 or (patience > 0 and self.state.stale >= patience)

    def _remember(self, number: int) -> None:
        """Remember a signal."""
        self.stop_signal = number

    def _agreed(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """Let the first process's clock decide, so that all stop at the same step."""
        if not distributed.is_initialized():
            return seconds, stop
        said = torch.tensor([seconds, float(stop)], dtype=torch.float64, device=self.device)
        distributed.broadcast(said, 0)
        return float(said[0]), bool(said[1])

    def _log(self, more: dict[str, Any]) -> None:
        """Write a line with the mean loss since the previous line."""
        state = self.state
        line = {"step": state.step, "seconds": round(state.seconds, 1)}
        if state.counted:
            line["loss"] = round(state.loss / state.counted, 6)
        state.loss, state.counted = 0.0, 0
        if rank_and_world()[0] == 0:
            path = self.folder / "log.jsonl"
            with writing_to(path), path.open("a", encoding="utf-8") as log:
                log.write(json.dumps({**line, **more}) + "\n")

    def _validate(self, network: nn.Module) -> SongFigures:
        """Measure a network."""
        recipe = self.recipe
        return validate(
            network,
            self.recordings,
            self.device,
            stems=recipe.stems,
            mask_figures=recipe.mask_figures,
            most=recipe.validate_windows,
        )

    def report(self) -> None:
        """Validate, log, and write the checkpoints."""
        state, limit_db = self.state, self.recipe.leak_limit_db
        measured = [self._validate(average) for average in self.averages.networks]
        # Without songs to validate on, the latest weights are the best.
        scores = [score(f, limit_db) if f else (False, float(state.step)) for f in measured]
        now = max(scores)
        index = scores.index(now)
        figures = measured[index]
        line = {"best": round(state.best, 3), "average": index, "figures": figures}
        self._log(line if figures else {})
        better = now > (state.quiet, state.best)
        state.quiet, state.best = now if better else (state.quiet, state.best)
        state.stale = 0 if better else state.stale + 1
        if rank_and_world()[0] != 0:
            return
        for name in ("last", "best") if better else ("last",):
            facts = run_facts(self.recipe, self.recordings, self.state, self.device, figures)
            text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
            path = self.folder / f"{name}.safetensors"
            with writing_to(path):
                save_checkpoint(path, self.averages.networks[index], self.header)
                path.with_suffix(".json").write_text(text, encoding="utf-8")
        self.save()
        for listener in self.listeners:
            listener.on_validation(self, figures)
