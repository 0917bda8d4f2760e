"""ID3's names of fields and genres, and timed lyrics as text."""

from __future__ import annotations

import re

#: Text frames of version 2.4 by field name.
FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "album": "TALB",
    "albumartist": "TPE2",
    "conductor": "TPE3",
    "remixer": "TPE4",
    "composer": "TCOM",
    "lyricist": "TEXT",
    "genre": "TCON",
    "date": "TDRC",
    "originaldate": "TDOR",
    "releasedate": "TDRL",
    "bpm": "TBPM",
    "initialkey": "TKEY",
    "isrc": "TSRC",
    "label": "TPUB",
    "copyright": "TCOP",
    "grouping": "TIT1",
    "subtitle": "TIT3",
    "discsubtitle": "TSST",
    "mood": "TMOO",
    "media": "TMED",
    "language": "TLAN",
    "compilation": "TCMP",
    "albumsort": "TSOA",
    "artistsort": "TSOP",
    "titlesort": "TSOT",
    "albumartistsort": "TSO2",
    "composersort": "TSOC",
    "originalartist": "TOPE",
    "originalalbum": "TOAL",
    "movementname": "MVNM",
    "movement": "MVIN",
}
NAMES = {frame: name for name, frame in FRAMES.items()} | {"GRP1": "grouping"}
#: Text frames that keep their own names.
OTHER_TEXT = frozenset(
    "TIPL TMCL TOFN TOWN TPRO TRSN TRSO TCAT TDES TGID TKWD".split()  # noqa: SIM905
)
#: Frames about the song's sound and file, and chapters, which are not tags.
LEFT_BEHIND = frozenset(
    """
    AENC ASPI CHAP CTOC ENCR EQU2 EQUA ETCO GRID LINK MCDI MLLT POSS RBUF RGAD RVA2 RVAD RVRB SEEK
    SIGN SYTC TDEN TDLY TENC TFLT TLEN TSIZ TSSE TDTG XRVA NCON
    """.split()  # noqa: SIM905 (a table, not a sentence)
)
#: Current names of the frames of version 2.2, and of those of 2.3 that 2.4 renamed.
OLD_NAMES = {
    "TT1": "TIT1",
    "TT2": "TIT2",
    "TT3": "TIT3",
    "TP1": "TPE1",
    "TP2": "TPE2",
    "TP3": "TPE3",
    "TP4": "TPE4",
    "TAL": "TALB",
    "TCM": "TCOM",
    "TXT": "TEXT",
    "TCO": "TCON",
    "TYE": "TYER",
    "TDA": "TDAT",
    "TIM": "TIME",
    "TOR": "TORY",
    "TRK": "TRCK",
    "TPA": "TPOS",
    "TBP": "TBPM",
    "TKE": "TKEY",
    "TRC": "TSRC",
    "TPB": "TPUB",
    "TCR": "TCOP",
    "TMT": "TMED",
    "TLA": "TLAN",
    "TCP": "TCMP",
    "TSA": "TSOA",
    "TSP": "TSOP",
    "TST": "TSOT",
    "TS2": "TSO2",
    "TSC": "TSOC",
    "TOA": "TOPE",
    "TOT": "TOAL",
    "TEN": "TENC",
    "TSS": "TSSE",
    "TLE": "TLEN",
    "TSI": "TSIZ",
    "TFT": "TFLT",
    "TDY": "TDLY",
    "TXX": "TXXX",
    "COM": "COMM",
    "ULT": "USLT",
    "SLT": "SYLT",
    "UFI": "UFID",
    "PIC": "APIC",
    "WAR": "WOAR",
    "WCP": "WCOP",
    "GP1": "GRP1",
    "MVN": "MVNM",
    "MVI": "MVIN",
    "MCI": "MCDI",
    "RVA": "RVAD",
    "EQU": "EQUA",
    "ETC": "ETCO",
    "MLL": "MLLT",
    "REV": "RVRB",
    "STC": "SYTC",
    "BUF": "RBUF",
    "CRA": "AENC",
    "LNK": "LINK",
    "IPL": "TIPL",
    "IPLS": "TIPL",
    "POP": "POPM",
    "CNT": "PCNT",
    "GEO": "GEOB",
    "WXX": "WXXX",
}

#: The numbered genres of ID3v1, with Winamp's additions.
GENRES = tuple(
    """
    Blues|Classic Rock|Country|Dance|Disco|Funk|Grunge|Hip-Hop|Jazz|Metal|New Age|Oldies|Other|Pop
    |R&B|Rap|Reggae|Rock|Techno|Industrial|Alternative|Ska|Death Metal|Pranks|Soundtrack
    |Euro-Techno|Ambient|Trip-Hop|Vocal|Jazz+Funk|Fusion|Trance|Classical|Instrumental|Acid|House
    |Game|Sound Clip|Gospel|Noise|Alternative Rock|Bass|Soul|Punk|Space|Meditative
    |Instrumental Pop|Instrumental Rock|Ethnic|Gothic|Darkwave|Techno-Industrial|Electronic
    |Pop-Folk|Eurodance|Dream|Southern Rock|Comedy|Cult|Gangsta|Top 40|Christian Rap|Pop/Funk
    |Jungle|Native American|Cabaret|New Wave|Psychedelic|Rave|Showtunes|Trailer|Lo-Fi|Tribal
    |Acid Punk|Acid Jazz|Polka|Retro|Musical|Rock & Roll|Hard Rock|Folk|Folk-Rock|National Folk
    |Swing|Fast Fusion|Bebop|Latin|Revival|Celtic|Bluegrass|Avantgarde|Gothic Rock
    |Progressive Rock|Psychedelic Rock|Symphonic Rock|Slow Rock|Big Band|Chorus|Easy Listening
    |Acoustic|Humour|Speech|Chanson|Opera|Chamber Music|Sonata|Symphony|Booty Bass|Primus
    |Porn Groove|Satire|Slow Jam|Club|Tango|Samba|Folklore|Ballad|Power Ballad|Rhythmic Soul
    |Freestyle|Duet|Punk Rock|Drum Solo|A Cappella|Euro-House|Dance Hall|Goa|Drum & Bass
    |Club-House|Hardcore|Terror|Indie|BritPop|Afro-Punk|Polsk Punk|Beat|Christian Gangsta Rap
    |Heavy Metal|Black Metal|Crossover|Contemporary Christian|Christian Rock|Merengue|Salsa
    |Thrash Metal|Anime|JPop|Synthpop|Abstract|Art Rock|Baroque|Bhangra|Big Beat|Breakbeat
    |Chillout|Downtempo|Dub|EBM|Eclectic|Electro|Electroclash|Emo|Experimental|Garage|Global
    |IDM|Illbient|Industro-Goth|Jam Band|Krautrock|Leftfield|Lounge|Math Rock|New Romantic
    |Nu-Breakz|Post-Punk|Post-Rock|Psytrance|Shoegaze|Space Rock|Trop Rock|World Music
    |Neoclassical|Audiobook|Audio Theatre|Neue Deutsche Welle|Podcast|Indie Rock|G-Funk|Dubstep
    |Garage Rock|Psybient
    """.replace("\n    ", "")
    .strip()
    .split("|")
)

STAMP = re.compile(r"[\[<](\d+):(\d\d(?:\.\d{1,3})?)[\]>]")
Event = tuple[int, str]


def lyrics_from_events(events: list[Event]) -> str:
    """Write lyrics timed in milliseconds as an LRC file: ``[mm:ss.mmm]line``.

    Where only some texts begin with a line feed, as with words and syllables, the others continue
    the line before them: ``[00:01.000]some<00:01.500>thing``.
    """
    words = any("\n" in text for _, text in events[1:])
    written = ""
    for number, (milliseconds, text) in enumerate(events):
        minutes, rest = divmod(milliseconds, 60_000)
        stamp = f"{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
        begins = number == 0 or not words or text.startswith("\n")
        line = " ".join(text.split("\n")) if not words else text.strip("\n").replace("\n", " ")
        if begins:
            written += ("\n" if number else "") + f"[{stamp}]{line}"
        else:
            written += f"<{stamp}>{line}"
    return written


def events_from_lyrics(text: str) -> list[Event]:
    """Parse an LRC file; empty if it is not one."""
    events: list[Event] = []
    lines = [line for line in text.splitlines() if line.strip()]
    by_word = any(re.match(r"\[\d+:\d", line) and re.search(r"<\d+:\d\d", line) for line in lines)
    for line in lines:
        stamps = list(STAMP.finditer(line))
        for number, found in enumerate(stamps):
            milliseconds = int(found[1]) * 60_000 + round(float(found[2]) * 1000)
            end = stamps[number + 1].start() if number + 1 < len(stamps) else len(line)
            said = line[found.end() : end]
            if by_word and number == 0 and events:
                said = "\n" + said
            if milliseconds < 1 << 32:
                events.append((milliseconds, said))
    return events
