"""``karaoke make``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from karaoke.cli import parameters
from karaoke.cli.parameters import option
from karaoke.store.catalogue import DEFAULT_MODEL

#: Names of what is made.
TEMPLATE = "{parent}/{title}/{title} ({stem}).{ext}"
SINGER, FILM = "For the singer", "Film"

Guide = Annotated[
    str,
    option(
        SINGER,
        "-g",
        "--guide",
        metavar="DB",
        help="Level of the voice under the band: -12, 0 for that in the song, or off.",
    ),
]
Band = Annotated[
    str,
    option(
        SINGER,
        "--band",
        metavar="DB",
        help="Level of the band: 0 for that in the song, or off for the voice alone.",
    ),
]
Key = Annotated[
    float,
    option(SINGER, "-k", "--key", metavar="N", help="Semitones up or, below 0, down; up to 12."),
]
Tempo = Annotated[
    str,
    option(
        SINGER,
        "-t",
        "--tempo",
        metavar="X",
        help="Speed, from 0.5 to 2, or as 90%, or the tempo to reach, as 108bpm.",
    ),
]
Range = Annotated[
    str | None,
    option(
        SINGER,
        metavar="LOW-HIGH",
        help="Choose the key in which the melody lies in a singer's range, such as A2-E4.",
    ),
]
CountIn = Annotated[
    int,
    option(
        SINGER,
        metavar="N",
        min=0,
        max=16,
        help="Clicks in the song's tempo before it, if singing would begin before they are over.",
    ),
]
Chords = Annotated[
    bool,
    option(FILM, "--chords", help="Draw the names of the chords above the words."),
]
LoudnessTarget = Annotated[
    str,
    option(
        SINGER,
        "--loudness",
        metavar="LUFS",
        help="Bring all of it to a loudness by one gain, such as -14, as far as its peaks allow.",
    ),
]
Excerpt = Annotated[
    str | None,
    option(SINGER, metavar="A-B", help="Only this part, as 0:40-1:10."),
]

To = Annotated[
    str | None,
    option(
        FILM,
        "--to",
        metavar="A,B",
        help="audio, mp4, mkv, cdg, ultrastar, and words as lrc, elrc, srt, ass or kar.",
        show_default="audio, and mp4 of films and where there are lyrics",
    ),
]
Align = Annotated[
    str,
    option(
        parameters.WORDS,
        metavar="WHAT",
        help="Find by listening when lines or words are sung: none, lines, words, or auto for"
        " the times that are missing.",
    ),
]
Background = Annotated[
    str,
    option(
        FILM,
        metavar="B",
        help="A colour as #102030, a picture, original (the film that the song is), cover,"
        " none, or auto: the first of these that there is.",
    ),
]
Size = Annotated[
    str | None,
    option(
        FILM,
        metavar="SIZE",
        help="480p, 720p, 1080p, 4k, or WxH.",
        show_default="720p, or that of the film",
    ),
]
Fps = Annotated[
    float | None,
    option(FILM, help="Pictures a second.", show_default="25, or as in the film"),
]
StyleName = Annotated[
    str | None,
    option(
        FILM,
        "--style",
        metavar="NAME|FILE",
        help="plain, big, light, duet, or film; or a TOML file of your own.",
        show_default="plain, or film over a film",
    ),
]
Tracks = Annotated[
    str | None,
    option(
        FILM,
        metavar="A,B",
        help="Sounds to choose from in a film: karaoke, original, instrumental, vocals.",
        show_default="karaoke, and original in an MKV",
    ),
]
FontFile = Annotated[
    Path | None,
    option(
        FILM,
        "--font",
        metavar="FILE",
        help="A font for scripts that the bundled one lacks.",
        show_default="DejaVu Sans Bold",
    ),
]
Verify = Annotated[
    bool,
    option(
        parameters.OUTPUT,
        "--verify",
        help="Decode what was made and measure it: level of the voice, key, tempo, and when sound"
        " and words come.",
    ),
]


def make(
    context: typer.Context,
    songs: parameters.Songs = None,
    recursive: parameters.Recursive = False,
    from_file: parameters.FromFile = None,
    shard: parameters.Shard = None,
    stems_from: parameters.StemsFrom = None,
    stream: parameters.Stream = None,
    strict: parameters.Strict = False,
    guide: Guide = "off",
    band: Band = "0",
    key: Key = 0.0,
    range: Range = None,
    tempo: Tempo = "1",
    count_in: CountIn = 0,
    loudness: LoudnessTarget = "off",
    excerpt: Excerpt = None,
    to: To = None,
    lyrics: parameters.LyricsFile = None,
    no_lyrics: parameters.NoLyrics = False,
    align: Align = "auto",
    language: parameters.Language = None,
    offset: parameters.Offset = 0.0,
    chords: Chords = False,
    background: Background = "auto",
    size: Size = None,
    fps: Fps = None,
    style: StyleName = None,
    tracks: Tracks = None,
    font: FontFile = None,
    out: parameters.Out = Path("made"),
    name: parameters.Name = TEMPLATE,
    format_: parameters.Format = "m4a",
    bit_depth: parameters.BitDepth = None,
    bitrate: parameters.Bitrate = None,
    verify: Verify = False,
    overwrite: parameters.Overwrite = False,
    skip_existing: parameters.SkipExisting = False,
    dry_run: parameters.DryRun = False,
    fail_fast: parameters.FailFast = False,
    model: parameters.Model = DEFAULT_MODEL,
    device: parameters.Device = "auto",
    quality: parameters.Quality = "default",
    overlap: parameters.Overlap = None,
    jobs: parameters.Jobs = 1,
    engine: parameters.EngineName = "threads",
    address: parameters.Address = None,
    json_: parameters.Json = False,
    progress: parameters.ProgressKind = "auto",
    quiet: parameters.Quiet = False,
    verbose: parameters.Verbose = False,
    debug: parameters.Debug = False,
) -> None:
    """Make songs to sing to: the band in your key and tempo, and a film of the words.

    Words come from a file beside the song with its name, such as song.lrc, from its tags, or from
    --lyrics; those without times are aligned to the voice. Paths of the files go to standard
    output, one a line; all else to standard error.
    """
    from karaoke.cli.making import make_all

    make_all(context)
