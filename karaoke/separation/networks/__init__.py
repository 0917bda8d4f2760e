"""The architectures, by their names in checkpoints.

Every network maps a mixture ``(B, C, N)`` to stems ``(B, S, C, N)`` of the same length and owns
its transform and its normalisation. All are built alike: from a config, which describes their
shape, and the keywords ``sample_rate`` (in Hz) and ``channels`` (C) of the waveforms and ``stems``
(the names of the S outputs). Axis letters throughout: B batch, S stems, C channels, N
samples, F frequency bins, T frames, K bands, D features, V views of a spectrogram (its channels and
their difference).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from karaoke.separation.networks.band_split_bilstm import BandSplitBiLSTM, BandSplitConfig
from karaoke.separation.networks.band_split_ensemble import (
    BandSplitEnsemble,
    BandSplitEnsembleConfig,
)
from karaoke.separation.networks.bs_roformer import BSRoformer, BSRoformerConfig
from karaoke.separation.networks.cnn_binary_mask import CNNBinaryMask, CNNBinaryMaskConfig
from karaoke.separation.networks.lstm_mask import LSTMMask, LSTMMaskConfig
from karaoke.separation.networks.mask_vote import MaskVote, MaskVoteConfig
from karaoke.separation.networks.mel_band_roformer import MelBandRoformer, MelBandRoformerConfig
from karaoke.separation.networks.open_unmix import OpenUnmix, OpenUnmixConfig
from karaoke.separation.networks.spleeter_unet import SpleeterUNet, SpleeterUNetConfig
from karaoke.separation.networks.unet_ratio_mask import UNetRatioMask, UNetRatioMaskConfig
from karaoke.separation.networks.unet_soft_mask import UNetSoftMask, UNetSoftMaskConfig

NETWORKS: dict[str, tuple[type[nn.Module], type[Any]]] = {
    "band_split_bilstm": (BandSplitBiLSTM, BandSplitConfig),
    "band_split_ensemble": (BandSplitEnsemble, BandSplitEnsembleConfig),
    "bs_roformer": (BSRoformer, BSRoformerConfig),
    "cnn_binary_mask": (CNNBinaryMask, CNNBinaryMaskConfig),
    "lstm_mask": (LSTMMask, LSTMMaskConfig),
    "mask_vote": (MaskVote, MaskVoteConfig),
    "mel_band_roformer": (MelBandRoformer, MelBandRoformerConfig),
    "open_unmix": (OpenUnmix, OpenUnmixConfig),
    "spleeter_unet": (SpleeterUNet, SpleeterUNetConfig),
    "unet_ratio_mask": (UNetRatioMask, UNetRatioMaskConfig),
    "unet_soft_mask": (UNetSoftMask, UNetSoftMaskConfig),
}
