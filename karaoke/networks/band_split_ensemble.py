"""Several band-split BiLSTMs that vote on the masks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, cast

import torch
from torch import Tensor, nn

from karaoke.errors import ModelError
from karaoke.fields import Within, check_fields
from karaoke.networks.band_split_bilstm import BandSplitBiLSTM, BandSplitConfig
from karaoke.networks.masking import MaskingNetwork
from karaoke.spectral import Stft

#: An ensemble gains little from the fifth on.
MOST_MEMBERS = 64


@dataclass(frozen=True)
class BandSplitEnsembleConfig:
    """Shape of a :class:`BandSplitEnsemble`.

    Parameters
    ----------
    members
        For each, the fields of its :class:`BandSplitConfig`.
    exponent
        Of the power mean of the masks, above zero and finite. One is the arithmetic mean; the
        lower, the more of the members have to hear a voice for it to be let through: less leaks
        where nobody sings.

    Raises
    ------
    ModelError
        There are no members or too many, they differ in their transform, or the exponent is not as
        above.
    """

    members: tuple[dict[str, Any], ...] = ({},)
    exponent: Annotated[float, Within(0, 1000, open_low=True)] = 1.0

    def __post_init__(self) -> None:
        """Refuse members that do not go together."""
        if len(self.members) > MOST_MEMBERS:
            raise ModelError(f"{len(self.members)} members, of at most {MOST_MEMBERS}")
        if len({(shape.n_fft, shape.hop_length) for shape in self.shapes}) != 1:
            raise ModelError("the members of an ensemble need one transform in common")
        if not 0 < self.exponent < math.inf:
            raise ModelError(f"the exponent of a mean is above zero and finite: {self.exponent}")

    @property
    def shapes(self) -> list[BandSplitConfig]:
        """The members' shapes."""
        return [
            BandSplitConfig(**check_fields(BandSplitConfig, member, f"members[{index}]."))
            for index, member in enumerate(self.members)
        ]


class BandSplitEnsemble(MaskingNetwork):
    """Average the masks of networks that were trained apart.

    Networks that learned from few songs err in different places; where they disagree, the average
    is nearer to the expected mask than most of them are. A song is transformed once for all.

    Parameters
    ----------
    config
        Its members.
    sample_rate, channels, stems
        As for :class:`BandSplitBiLSTM`.

    References
    ----------
    L. K. Hansen and P. Salamon, "Neural network ensembles", IEEE TPAMI 12(10), 1990.
    """

    def __init__(
        self,
        config: BandSplitEnsembleConfig,
        *,
        sample_rate: int,
        channels: int,
        stems: tuple[str, ...],
    ) -> None:
        first = config.shapes[0]
        stft = Stft(first.n_fft, first.hop_length)
        super().__init__(stft, channels=channels, stems=stems, magnitude_exponent=1.0)
        # Every member standardises what it hears by statistics of its own.
        del self.input_mean, self.input_scale
        self.config = config
        self.members = nn.ModuleList(
            BandSplitBiLSTM(shape, sample_rate=sample_rate, channels=channels, stems=stems)
            for shape in config.shapes
        )

    def __iter__(self) -> Iterator[BandSplitBiLSTM]:
        """Iterate over the members."""
        return iter(cast(list[BandSplitBiLSTM], self.members))

    def keep(self, votes: int) -> None:
        """Go on with the first members alone: faster, and worse."""
        self.members = self.members[:votes]

    @torch.no_grad()
    def calibrate(self, mixture: Tensor) -> None:
        """Let every member set its input statistics from a batch of mixtures ``(B, C, N)``."""
        for member in self:
            member.calibrate(mixture)

    def masks(self, spectrogram: Tensor) -> Tensor:
        """Estimate the masks of a complex spectrogram ``(B, C, F, T)``: ``(B, S, C, F, T)``."""
        exponent = self.config.exponent
        total = spectrogram.new_zeros((), dtype=torch.float32)
        for member in self:
            total = total + member.masks(spectrogram).float() ** exponent
        return (total / len(self.members)) ** (1.0 / exponent)
