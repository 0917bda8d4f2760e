"""Speaker layouts of a song's channels: ffmpeg's names and Microsoft's masks."""

from __future__ import annotations

import re

#: Speakers by their bits in WAVE_FORMAT_EXTENSIBLE, as ffmpeg abbreviates them.
SPEAKERS = tuple("FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split())  # noqa: SIM905
#: Layouts that ffmpeg has a name for.
LAYOUTS = {
    "mono": "FC",
    "stereo": "FL FR",
    "2.1": "FL FR LFE",
    "3.0": "FL FR FC",
    "3.0(back)": "FL FR BC",
    "4.0": "FL FR FC BC",
    "quad": "FL FR BL BR",
    "quad(side)": "FL FR SL SR",
    "3.1": "FL FR FC LFE",
    "5.0": "FL FR FC BL BR",
    "5.0(side)": "FL FR FC SL SR",
    "4.1": "FL FR FC LFE BC",
    "5.1": "FL FR FC LFE BL BR",
    "5.1(side)": "FL FR FC LFE SL SR",
    "6.0": "FL FR FC BC SL SR",
    "6.0(front)": "FL FR FLC FRC SL SR",
    "3.1.2": "FL FR FC LFE TFL TFR",
    "hexagonal": "FL FR FC BL BR BC",
    "6.1": "FL FR FC LFE BC SL SR",
    "6.1(back)": "FL FR FC LFE BL BR BC",
    "6.1(front)": "FL FR LFE FLC FRC SL SR",
    "7.0": "FL FR FC BL BR SL SR",
    "7.0(front)": "FL FR FC FLC FRC SL SR",
    "7.1": "FL FR FC LFE BL BR SL SR",
    "7.1(wide)": "FL FR FC LFE BL BR FLC FRC",
    "7.1(wide-side)": "FL FR FC LFE FLC FRC SL SR",
    "5.1.2": "FL FR FC LFE SL SR TFL TFR",
    "5.1.2(back)": "FL FR FC LFE BL BR TFL TFR",
    "7.1(top)": "FL FR FC LFE BL BR TFL TFR",
    "octagonal": "FL FR FC BL BR BC SL SR",
    "cube": "FL FR BL BR TFL TFR TBL TBR",
    "5.1.4": "FL FR FC LFE BL BR TFL TFR TBL TBR",
    "7.1.2": "FL FR FC LFE BL BR SL SR TFL TFR",
    "7.1.4": "FL FR FC LFE BL BR SL SR TFL TFR TBL TBR",
    "hexadecagonal": "FL FR FC BL BR BC SL SR TFL TFC TFR TBL TBC TBR",
}


#: Left and right speakers whose channels belong together.
PAIRS = ("FL FR", "BL BR", "FLC FRC", "SL SR", "TFL TFR", "TBL TBR")


def speaker_names(layout: str, channels: int) -> list[str]:
    """Name the speaker of each channel; empty if the layout does not name them all."""
    named = re.fullmatch(r"\d+ channels \((.*)\)", layout)
    speakers = (named[1] if named else LAYOUTS.get(layout, layout)).replace("+", " ").split()
    return speakers if len(speakers) == channels and set(speakers) <= set(SPEAKERS) else []


def channel_groups(layout: str, channels: int) -> tuple[tuple[int, ...], ...] | None:
    """Group left and right channels in pairs where both exist, and the others alone.

    Returns
    -------
    tuple or None
        Channel indices, each once; None if the layout is unknown.
    """
    speakers = speaker_names(layout, channels)
    if not speakers or len(set(speakers)) < channels:
        return None
    pairs = [pair.split() for pair in PAIRS if set(pair.split()) <= set(speakers)]
    paired = {speaker for pair in pairs for speaker in pair}
    groups = [*pairs, *([speaker] for speaker in speakers if speaker not in paired)]
    return tuple(tuple(speakers.index(speaker) for speaker in group) for group in groups)


def channel_mask(layout: str, channels: int) -> int:
    """Return the mask of a layout; 0 if it is unknown or no mask can express it.

    Parameters
    ----------
    layout
        In ffmpeg's words: ``5.1(side)``, ``3 channels (FL+FR+LFE)``, or empty.
    channels
        The number of channels.
    """
    speakers = speaker_names(layout, channels)
    places = [SPEAKERS.index(speaker) for speaker in speakers]
    # A file's channels are in the order of the bits.
    return sum(1 << place for place in places) if places == sorted(set(places)) else 0


def speakers_of(mask: int) -> str:
    """Format a mask for ffmpeg's filters: ``FL+FR+LFE``."""
    return "+".join(speaker for bit, speaker in enumerate(SPEAKERS) if mask >> bit & 1)


def unspoken(layout: str, channels: int) -> str:
    """Return a layout if it has more than two channels and no mask can express it, else ''."""
    nameless = re.fullmatch(r"\d+ channels|", layout)
    return "" if channels <= 2 or nameless or channel_mask(layout, channels) else layout
