"""BS-RoFormer: a transformer over bands that share out the bins."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from karaoke.errors import ModelError
from karaoke.separation.networks.roformer import MOST_BANDS, MaskLayers, Roformer, RoformerConfig
from karaoke.separation.networks.sizes import Width

#: Bins of the bands of published models, for frames of 2048 samples.
BAND_BINS = (*[2] * 24, *[4] * 12, *[12] * 8, *[24] * 8, *[48] * 8, 128, 129)


@dataclass(frozen=True)
class BSRoformerConfig(RoformerConfig):
    """Shape of a :class:`BSRoformer`; the defaults suit published models.

    Parameters
    ----------
    band_bins
        Bins of each band, lowest band first; see
        :class:`karaoke.separation.networks.roformer.RoformerConfig` for the rest.
    """

    mask_layers: MaskLayers = 1
    band_bins: tuple[Width, ...] = BAND_BINS

    def __post_init__(self) -> None:
        """Reject bands that do not share out the bins.

        Raises
        ------
        ModelError
            There are too many, or they have more or fewer bins in total than the transform.
        """
        object.__setattr__(self, "band_bins", tuple(self.band_bins))
        if len(self.band_bins) > MOST_BANDS:
            raise ModelError(f"there are {len(self.band_bins)} bands, more than {MOST_BANDS}")
        bins, total = self.n_fft // 2 + 1, sum(self.band_bins)
        if total != bins:
            raise ModelError(f"band_bins must add up to {bins}, not {total}")


class BSRoformer(Roformer):
    """Separate with a transformer over bands without overlap.

    References
    ----------
    W.-T. Lu, J.-C. Wang, Q. Kong and Y.-N. Hung, "Music Source Separation with Band-Split RoPE
    Transformer", ICASSP 2024, arXiv 2309.02612. Sizes, gates and norms are those of the package
    bs-roformer, which published models were trained with.
    """

    def __init__(
        self, config: BSRoformerConfig, *, sample_rate: int, channels: int, stems: tuple[str, ...]
    ) -> None:
        edges = itertools.accumulate(config.band_bins, initial=0)
        bands = tuple(itertools.pairwise(edges))
        super().__init__(config, channels=channels, stems=stems, bands=bands, normed=False)
