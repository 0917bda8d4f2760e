"""Recipes: everything that a run depends on but the recordings, as a dataclass and as TOML."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from karaoke.errors import NoInputError, UsageError
from karaoke.training.data import STEMS, MixtureConfig
from karaoke.training.losses import LOSSES
from karaoke.training.masks import MASK_FIGURES, MASK_LOSSES
from karaoke.training.optimizers import OPTIMIZERS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Parameters
    ----------
    architecture, config
        What is trained: a key of ``NETWORKS`` and fields of its config.
    stems
        What it gives, one of ``STEMS``.
    mixtures
        How the mixtures are made.
    loss
        Weights of the loss functions, by their names in ``LOSSES`` or all in ``MASK_LOSSES``.
    mask_figures
        What validation also measures of the masks, by the names in ``MASK_FIGURES``.
    steps, time_budget
        Length of the whole run, over which the learning rate warms up and falls: optimizer steps,
        or seconds of training over all sessions. Zero leaves one out; the sooner of two counts.
    clock
        What the seconds are: ``wall``, or ``cpu`` time of the first process, for fair comparisons
        of small runs on a machine that does other things too.
    batch_size, accumulate
        Mixtures per step, shared among all processes, zero for what suits the device; and the
        passes that each process' share is cut into, to save memory.
    optimizer
        A key of :data:`karaoke.training.optimizers.OPTIMIZERS`.
    learning_rate, weight_decay, clip_norm
        Of the optimizer, at its peak, and of the gradient.
    warm_up
        Share of the run until the rate is at its peak.
    ema_decay
        Of the averaged weights, which are the ones that are validated and shipped. Zero: none.
    validate_every, log_every
        In steps.
    patience
        Stop after so many validations without a better one. Zero: never.
    segment_seconds, overlap
        Of the segments that the finished model cuts songs into.
    freeze_encoder
        Hold what the network's encoder begins with.
    without_licences
        Leave out recordings whose licence contains one of these.
    seed
        Of weights and mixtures.
    """

    architecture: str = "band_split_bilstm"
    config: dict[str, Any] = field(default_factory=dict)
    stems: tuple[str, ...] = STEMS[0]
    mixtures: MixtureConfig = field(default_factory=MixtureConfig)
    loss: dict[str, float] = field(
        default_factory=lambda: {
            "error_norm": 1.0,
            "spectrogram_l1": 0.5,
            "compressed_magnitude_mse": 1.0,
        }
    )
    mask_figures: tuple[str, ...] = ()
    steps: int = 0
    time_budget: float = 3600.0
    clock: str = "wall"
    batch_size: int = 0
    accumulate: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    warm_up: float = 0.03
    ema_decay: float = 0.998
    validate_every: int = 200
    log_every: int = 10
    patience: int = 0
    segment_seconds: float = 10.0
    overlap: float = 0.25
    freeze_encoder: bool = False
    without_licences: tuple[str, ...] = ()
    seed: int = 1

    def progress(self, steps: int, seconds: float) -> float:
        """Tell how much of the run is done, in [0, 1]."""
        shares = [0.0]
        if self.steps:
            shares.append(steps / self.steps)
        if self.time_budget:
            shares.append(seconds / self.time_budget)
        return min(1.0, max(shares))

    def learning_rate_at(self, progress: float) -> float:
        """Warm up, then fall along a cosine to 1 % of the peak."""
        warm = min(1.0, (progress + 1e-3) / self.warm_up) if self.warm_up else 1.0
        return self.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def parse_toml(text: str, origin: str) -> dict[str, Any]:
    """Parse TOML.

    Raises
    ------
    UsageError
        It is none.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{origin}: {error}", hint="Write key = value, in TOML.") from error


def read_recipe(path: Path | None, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path
        A TOML file with fields of :class:`Recipe`; None starts from the defaults.
    settings
        What to change, ``key=value``, with dots into tables (``mixtures.aligned_share=0.5``). The
        value is TOML, or else a string.

    Raises
    ------
    NoInputError
        The file cannot be read.
    UsageError
        It is no TOML, or there is no such field, loss or choice, or a value has the wrong type.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = parse_toml(path.read_text(encoding="utf-8"), f'"{path}"')
        except OSError as error:
            raise NoInputError(f'"{path}": {error.strerror}') from error
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: not key=value")
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value.strip()
        *tables, name = key.strip().split(".")
        table = values
        for part in tables:
            table = table.setdefault(part, {})
        table[name] = parsed
    recipe: Recipe = fill(Recipe, values, "recipe")
    check(recipe)
    return recipe


def check(recipe: Recipe) -> None:
    """Look for values that no field can have.

    Raises
    ------
    UsageError
        There is one.
    """
    for kind, names, choices in (
        ("loss", recipe.loss, {*LOSSES, *MASK_LOSSES}),
        ("mask figure", recipe.mask_figures, {*MASK_FIGURES}),
    ):
        unknown, known = (", ".join(sorted(some)) for some in ({*names} - choices, choices))
        if unknown:
            raise UsageError(f"recipe: unknown {kind} {unknown} (known: {known})")
    if recipe.loss.keys() & LOSSES.keys() and recipe.loss.keys() & MASK_LOSSES.keys():
        given = ", ".join(recipe.loss)
        raise UsageError(f"recipe: losses of waveforms and of masks at once: {given}")
    if recipe.stems not in STEMS:
        lists = "; or ".join(", ".join(stems) for stems in STEMS)
        raise UsageError(f"recipe: stems must be {lists}; not {', '.join(recipe.stems)}")
    if recipe.optimizer not in OPTIMIZERS:
        raise UsageError(
            f"recipe: optimizer must be {' or '.join(OPTIMIZERS)}, not {recipe.optimizer}"
        )
    if recipe.clock not in ("wall", "cpu"):
        raise UsageError(f"recipe: clock must be wall or cpu, not {recipe.clock}")
    if not recipe.steps and not recipe.time_budget:
        raise UsageError("recipe: neither steps nor time_budget says when the run ends")


def fill(kind: type[Any], values: dict[str, Any], name: str) -> Any:
    """Make a dataclass of a TOML table, checking names and types.

    Raises
    ------
    UsageError
        A field does not exist or has another type.
    """
    defaults = kind()
    known = {f.name for f in fields(kind)}
    for key, value in values.items():
        if key not in known:
            raise UsageError(f"{name}: no field {key!r} (known: {', '.join(sorted(known))})")
        default = getattr(defaults, key)
        if is_dataclass(default) and isinstance(value, dict):
            values[key] = fill(type(default), value, key)
        elif isinstance(default, tuple) and isinstance(value, list):
            values[key] = tuple(value)
        elif isinstance(default, float) and type(value) is int:
            values[key] = float(value)
        elif type(value) is not type(default):
            expected = type(default).__name__
            raise UsageError(f"{name}: {key} must be a {expected}, not {value!r}")
    return kind(**values)
