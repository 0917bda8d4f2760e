"""The words of a song and when they are sung: one form, one clock, and all file formats.

:func:`read_lyrics` reads any format. The functions that write take lyrics with times and the
:class:`Timeline` of the output to go with, and raise :class:`karaoke.errors.LyricsError` if there
are no times. Each format's own reader takes the text of a file, with line feeds, and what messages
should call it, and raises the same error if it finds no lyrics.
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
