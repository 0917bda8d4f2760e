"""Words of a song and when they are sung: one form, one clock, and the formats of files.

:func:`read_lyrics` reads any of them; the functions that write take the
:class:`Timeline` of what they are to run with.
"""

from karaoke.lyrics.ass import write_ass
from karaoke.lyrics.kar import write_kar
from karaoke.lyrics.lrc import write_enhanced_lrc, write_lrc
from karaoke.lyrics.model import Line, Lyrics, Syllable, Word
from karaoke.lyrics.plain import write_plain
from karaoke.lyrics.sniffing import parse_lyrics, read_lyrics
from karaoke.lyrics.srt import write_srt
from karaoke.lyrics.tags import lyrics_from_tags, lyrics_from_text
from karaoke.lyrics.timeline import Timeline
from karaoke.lyrics.ultrastar_writing import write_ultrastar

__all__ = [
    "Line",
    "Lyrics",
    "Syllable",
    "Timeline",
    "Word",
    "lyrics_from_tags",
    "lyrics_from_text",
    "parse_lyrics",
    "read_lyrics",
    "write_ass",
    "write_enhanced_lrc",
    "write_kar",
    "write_lrc",
    "write_plain",
    "write_srt",
    "write_ultrastar",
]
