"""With what songs are worked on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from karaoke.jobs.manifest import SplitSettings

if TYPE_CHECKING:
    from karaoke.separation.separator import Separator


@dataclass(frozen=True)
class Engine:
    """With what songs are worked on.

    Parameters
    ----------
    settings
        Model and quality, as ``karaoke split`` has them.
    longest_seconds
        Longest song that is taken.
    separator
        Returns the model, and loads it on first use.
    """

    settings: SplitSettings
    longest_seconds: float
    separator: Callable[[], Separator]

    def common(self, extension: str, bit_depth: int) -> dict[str, Any]:
        """Give the settings of what is written in a format."""
        chosen = replace(self.settings, format=extension, bit_depth=bit_depth, bitrate="")
        return chosen.as_dict()
