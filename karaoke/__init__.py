"""Split songs into vocals and instrumental.

>>> from karaoke import load_audio, load_model, save_audio
>>> mixture, sample_rate = load_audio("song.mp3")
>>> stems = load_model().separate(mixture, sample_rate)
>>> save_audio("vocals.wav", stems["vocals"], sample_rate)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from karaoke.audio import load_audio, save_audio
    from karaoke.errors import KaraokeError
    from karaoke.separation.separator import Separator
    from karaoke.store.catalogue import available_models
    from karaoke.store.loading import load_model

__version__ = "0.2.0"

__all__ = [
    "KaraokeError",
    "Separator",
    "available_models",
    "load_audio",
    "load_model",
    "save_audio",
]

#: Resolved on first use, so that ``karaoke --help`` does not wait for torch.
_HOMES = {
    "KaraokeError": "karaoke.errors",
    "Separator": "karaoke.separation.separator",
    "available_models": "karaoke.store.catalogue",
    "load_audio": "karaoke.audio",
    "load_model": "karaoke.store.loading",
    "save_audio": "karaoke.audio",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
