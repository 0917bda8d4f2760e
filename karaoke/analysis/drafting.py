"""A draft of lyrics for a song that has none: a line for each phrase, to write the words into."""

from __future__ import annotations

from karaoke.analysis.activity import Phrase, find_phrases, find_singing
from karaoke.analysis.levels import measure_levels
from karaoke.analysis.sounds import Sound
from karaoke.lyrics.model import Line, Syllable, Word

#: What stands in place of the words, before the number of the line.
PLACEHOLDER = "\u266a"
#: After a pause of as long comes another stanza.
STANZA_SECONDS = 4.0


def draft_lines(vocals: Sound, instrumental: Sound) -> tuple[Line, ...]:
    """Draft a line for each phrase that somebody sings; none where nobody does."""
    singing = find_singing(
        measure_levels(vocals.blocks(), vocals.sample_rate),
        measure_levels(instrumental.blocks(), instrumental.sample_rate),
    )
    lines: list[Line] = []
    before: Phrase | None = None
    for number, phrase in enumerate(find_phrases(singing), 1):
        apart = before is not None and phrase.start_seconds - before.end_seconds > STANZA_SECONDS
        lines.append(
            Line(
                (Word((Syllable(PLACEHOLDER),)), Word((Syllable(str(number)),))),
                vocals.start_seconds + phrase.start_seconds,
                vocals.start_seconds + phrase.end_seconds,
                starts_stanza=apart,
            )
        )
        before = phrase
    return tuple(lines)
