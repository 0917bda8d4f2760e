"""Load the model where songs are worked on: once per process, and only the very one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from karaoke.errors import ModelError
from karaoke.files import checksum
from karaoke.store.catalogue import find_model

if TYPE_CHECKING:
    from karaoke.separation.separator import Separator

_loading = Lock()


@dataclass(frozen=True)
class ModelLoader:
    """Loads a model in whichever process calls it; can be pickled.

    Parameters
    ----------
    model
        Its name, or the absolute path of a checkpoint.
    weights_sha256
        Checksum that the checkpoint must have.
    device, overlap, quality
        See :func:`karaoke.store.loading.load_model`.
    """

    model: str
    weights_sha256: str
    device: str = "auto"
    overlap: float | None = None
    quality: str = "default"

    def __call__(self) -> Separator:
        """Return the model, loaded on first use.

        Raises
        ------
        ModelError
            There is no such model here, or it has other weights.
        """
        with _loading:  # two songs may want it at the same time
            return _load(self)


@lru_cache(maxsize=1)
def _load(loader: ModelLoader) -> Separator:
    """Load a model, and let go of the last one."""
    from karaoke.store.loading import load_model

    path = find_model(loader.model)
    if checksum(path) != loader.weights_sha256:
        raise ModelError(
            f'"{path}": other weights than where this was started',
            hint="Install the same karaoke and models everywhere.",
        )
    return load_model(path, device=loader.device, overlap=loader.overlap, quality=loader.quality)
