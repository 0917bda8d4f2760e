"""Several band-split BiLSTMs that vote on the masks with equal weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from karaoke.separation.fields import Within
from karaoke.separation.networks.mask_vote import MaskVote, MaskVoteConfig


@dataclass(frozen=True)
class BandSplitEnsembleConfig:
    """Shape of a :class:`BandSplitEnsemble`.

    Parameters
    ----------
    members
        The fields of each one's config.
    exponent
        As in :class:`karaoke.separation.networks.mask_vote.MaskVoteConfig`.

    Raises
    ------
    ModelError
        As for :class:`karaoke.separation.networks.mask_vote.MaskVoteConfig`.
    """

    members: tuple[dict[str, Any], ...] = ({},)
    exponent: Annotated[float, Within(0, 1000, open_low=True)] = 1.0

    def __post_init__(self) -> None:
        """Reject members that do not go together."""
        self.as_vote()

    def as_vote(self) -> MaskVoteConfig:
        """Return the same members as a vote of networks of any kind."""
        members = [{"architecture": "band_split_bilstm", "config": own} for own in self.members]
        return MaskVoteConfig(tuple(members), self.exponent)


class BandSplitEnsemble(MaskVote):
    """Average the masks of band-split BiLSTMs."""

    def __init__(
        self,
        config: BandSplitEnsembleConfig,
        *,
        sample_rate: int,
        channels: int,
        stems: tuple[str, ...],
    ) -> None:
        super().__init__(config.as_vote(), sample_rate=sample_rate, channels=channels, stems=stems)
