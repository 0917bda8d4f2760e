"""How bands play: grooves, accompaniments, bass lines and turns of harmony, as tables.

A pattern is a bar, a character a step: ``X`` strong, ``x`` usual, ``o`` soft, ``.`` nothing.
Numerals are chords of a key: upper case major, lower case minor; a comma parts two in one bar.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Beats a bar; in 6/8 a beat is three eighths.
BEATS = {"3/4": 3, "4/4": 4, "6/8": 2}

#: Notes of General MIDI's drum kit.
DRUMS = {
    "kick": 36, "rim": 37, "snare": 38, "clap": 39, "hat": 42, "foot": 44, "open": 46, "ride": 51,
    "crash": 49, "tambourine": 54, "cowbell": 56, "bongo": 60, "conga": 63, "tumba": 64,
    "shaker": 70, "claves": 75,
}  # fmt: skip
TOMS = (50, 48, 47, 45, 43, 41)

#: Programs of General MIDI, from 0, that may take a part.
POOLS = {
    "piano": (0, 1, 2, 3), "keys": (4, 5, 7, 11), "organ": (16, 17, 18, 19), "reed": (20, 21, 22),
    "strings": (48, 49, 50, 51), "pad": (88, 89, 90, 91, 92, 94, 95), "nylon": (24,),
    "guitar": (24, 25, 26, 27), "steel": (25,), "clean": (26, 27, 28), "loud": (29, 30),
    "mallet": (11, 12, 13), "harp": (46, 104, 105, 107), "brass": (61, 62, 63), "synth": (81, 87),
    "lead": (40, 56, 59, 64, 65, 66, 68, 71, 73, 75, 22, 78, 80, 81, 26, 29, 11),
    "upright": (32,), "electric": (33, 34, 35), "machine": (38, 39),
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """How a band plays.

    Parameters
    ----------
    name, metre
        What it is called; a key of :data:`BEATS`.
    bpm
        Slowest and fastest.
    steps
        Of a pattern, per beat.
    grooves
        Patterns by drum; one is drawn.
    comps
        What plays chords: how, pattern, pool. Two or three are drawn.
    basses
        How, pattern, pool; one is drawn.
    sevenths
        Share of chords with a seventh.
    swing
        Range of where the second of two notes falls, and the unit in beats that they fill.
    """

    name: str
    metre: str
    bpm: tuple[float, float]
    steps: int
    grooves: tuple[dict[str, str], ...]
    comps: tuple[tuple[str, str, str], ...]
    basses: tuple[tuple[str, str, str], ...]
    sevenths: float = 0.1
    swing: tuple[float, float, float] = (0.5, 0.5, 1.0)


HELD, EIGHTHS, QUARTERS = "X...............", "X.x.x.x.x.x.x.x.", "X...x...x...x..."
STYLES = (
    Style(
        "pop", "4/4", (84, 132), 4,
        ({"kick": "X......xx.......", "snare": "....X.......X...", "hat": "x.o.x.o.x.o.x.o."},
         {"kick": "X.....x...x.....", "snare": "....X.......X..o", "hat": "xoxoxoxoxoxoxoxo"},
         {"kick": "X.......X.x.....", "clap": "....X.......X...", "shaker": "o.x.o.x.o.x.o.x."}),
        (("block", QUARTERS, "piano"), ("strum", "X...x.x..xx.x.x.", "guitar"),
         ("held", HELD, "pad"), ("held", HELD, "strings"), ("arpeggio", EIGHTHS, "clean")),
        (("roots", EIGHTHS, "electric"), ("roots", "X.....x.X.....x.", "electric")),
    ),
    Style(
        "rock", "4/4", (100, 172), 4,
        ({"kick": "X.......X.x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
         {"kick": "X.x.......x.....", "snare": "....X.......X...", "ride": "x...x...x...x..."}),
        (("strum", EIGHTHS, "loud"), ("held", HELD, "loud"), ("strum", "X.....x.x.x.....", "clean"),
         ("held", HELD, "organ")),
        (("roots", EIGHTHS, "electric"), ("octaves", EIGHTHS, "electric")),
        sevenths=0.03,
    ),
    Style(
        "folk", "4/4", (76, 132), 4,
        ({"tambourine": "....x.......x..."}, {"shaker": "x.o.x.o.x.o.x.o."}, {},
         {"kick": "X.......x.......", "rim": "....x.......x...", "shaker": "o.x.o.x.o.x.o.x."}),
        (("strum", "X...x.x...x.x.x.", "steel"), ("arpeggio", EIGHTHS, "steel"),
         ("arpeggio", EIGHTHS, "harp"), ("held", HELD, "reed")),
        (("fifths", "X.......x.......", "upright"), ("roots", HELD, "upright")), sevenths=0.05,
    ),
    Style(
        "country", "4/4", (92, 140), 4,
        ({"kick": "X.......X.......", "snare": "..o.X.o...o.X.o."},
         {"kick": "X.......X.......", "rim": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."}),
        (("strum", "....X.......X.x.", "steel"), ("arpeggio", EIGHTHS, "harp"),
         ("block", "....x.......x...", "piano"), ("held", HELD, "strings")),
        (("fifths", "X.......X.......", "upright"),), sevenths=0.1,
    ),
    Style(
        "waltz", "3/4", (84, 180), 2,
        ({"kick": "X.....", "snare": "..o.o."}, {},
         {"kick": "X.....", "hat": "..x.x.", "ride": "x....."},
         {"tambourine": "..x.x."}),
        (("block", "..X.x.", "piano"), ("strum", "..X.x.", "guitar"), ("held", "X.....", "reed"),
         ("block", "..x.x.", "strings"), ("arpeggio", "Xxxxxx", "harp")),
        (("fifths", "X.....", "upright"), ("roots", "X.....", "upright")),
    ),
    Style(
        "country waltz", "3/4", (78, 120), 4,
        ({"kick": "X...........", "snare": "....x...x...", "hat": "x.o.x.o.x.o."},
         {"kick": "X...........", "rim": "........x...", "hat": "x...x...x..."}),
        (("strum", "X...x.x.x.x.", "steel"), ("held", "X...........", "strings"),
         ("block", "X...x...x...", "piano"), ("arpeggio", "X.x.x.x.x.x.", "guitar")),
        (("roots", "X.......x...", "electric"), ("walk", "X...x...x...", "upright")),
    ),
    Style(
        "jazz waltz", "3/4", (110, 176), 2,
        ({"ride": "x.x.xx", "foot": "..x...", "kick": "o....."},
         {"ride": "x.xxx.", "foot": "..x.x."}),
        (("block", "X..x..", "piano"), ("block", "...X..", "keys"), ("held", "X.....", "mallet")),
        (("walk", "X.x.x.", "upright"), ("roots", "X..x..", "upright")), sevenths=0.8,
        swing=(0.6, 0.68, 1.0),
    ),
    Style(
        "ballad", "4/4", (60, 84), 4,
        ({"kick": "X.......x.x.....", "snare": "....X.......X...", "hat": "x.o.x.o.x.o.x.o."},
         {"kick": "X.........x.....", "rim": "....x.......x...", "ride": "x.o.x.o.x.o.x.o."}, {}),
        (("arpeggio", "X.x.x.x.x.x.x.x.", "piano"), ("block", QUARTERS, "keys"),
         ("held", HELD, "strings"), ("held", HELD, "pad"),
         ("arpeggio", "XxxxXxxxXxxxXxxx", "nylon")),
        (("roots", "X.......x.......", "electric"), ("roots", "X.....x.X.......", "electric")),
        sevenths=0.25,
    ),
    Style(
        "slow six", "6/8", (60, 84), 3,
        ({"kick": "X....x", "snare": "...X..", "hat": "xxxxxx"},
         {"kick": "X.....", "rim": "...x..", "ride": "x.xx.x"}),
        (("arpeggio", "Xxxxxx", "clean"), ("block", "XxxXxx", "piano"), ("held", "X.....", "organ"),
         ("held", "X.....", "strings")),
        (("roots", "X..x.x", "electric"), ("roots", "X..x..", "electric")), sevenths=0.15,
    ),
    Style(
        "jig", "6/8", (90, 126), 3,
        ({"kick": "X..x..", "tambourine": "x.ox.o"}, {"bongo": "X.xX.x"},
         {"kick": "X.....", "snare": "...X.o"}),
        (("strum", "X.xX.x", "steel"), ("block", "X.xX.x", "reed"), ("arpeggio", "Xxxxxx", "harp"),
         ("held", "X.....", "strings")),
        (("fifths", "X..x..", "upright"), ("roots", "X.xX.x", "upright")),
    ),
    Style(
        "swing", "4/4", (112, 180), 2,
        ({"ride": "x.xxx.xx", "foot": "..x...x.", "kick": "o.o.o.o."},
         {"hat": "x.xxx.xx", "kick": "X...x...", "snare": "..o...x."}),
        (("block", "X..x....", "piano"), ("strum", "X.x.X.x.", "clean"),
         ("block", "...x..x.", "brass"),
         ("held", "X.......", "mallet")),
        (("walk", "X.X.X.X.", "upright"),), sevenths=0.75, swing=(0.6, 0.68, 1.0),
    ),
    Style(
        "shuffle", "4/4", (84, 140), 2,
        ({"kick": "X.x.X.x.", "snare": "..X...X.", "hat": "xoxoxoxo"},
         {"kick": "X...X..x", "snare": "..X...X.", "ride": "x.xxx.xx"}),
        (("strum", "XxXxXxXx", "clean"), ("block", "..x...x.", "organ"),
         ("block", "X..x..x.", "piano")),
        (("walk", "X.X.X.X.", "electric"), ("roots", "XxXxXxXx", "electric")), sevenths=0.5,
        swing=(0.62, 0.67, 1.0),
    ),
    Style(
        "reggae", "4/4", (64, 92), 4,
        ({"rim": "........X.......", "kick": "........X.......", "hat": "x.x.x.x.x.x.x.x."},
         {"kick": "X...X...X...X...", "rim": "........X.......", "hat": "..x...x...x...x."}),
        (("strum", "..X...X...X...X.", "clean"), ("block", "..x...x...x...x.", "organ"),
         ("block", "....x.......x...", "piano")),
        (("roots", "X.....x.x...x...", "electric"), ("roots", "..x...x.X.......", "electric")),
        sevenths=0.15, swing=(0.5, 0.58, 0.5),
    ),
    Style(
        "bossa", "4/4", (100, 152), 4,
        ({"kick": "X.....x.X.....x.", "rim": "x.....x.....x...", "hat": "xoxoxoxoxoxoxoxo"},
         {"shaker": "xoxoxoxoxoxoxoxo", "claves": "x.....x.....x...", "conga": "..x...xx..x...xx"}),
        (("block", "X...x.....x...x.", "nylon"), ("block", "X.....x.....x...", "keys"),
         ("held", HELD, "strings")),
        (("fifths", "X.....x.X.....x.", "upright"),), sevenths=0.85,
    ),
    Style(
        "electronic", "4/4", (116, 142), 4,
        ({"kick": "X...X...X...X...", "clap": "....X.......X...", "open": "..x...x...x...x."},
         {"kick": "X...X...X...X...", "hat": "xoxoxoxoxoxoxoxo", "snare": "....X.......X..x"}),
        (("block", "X..x..x.X..x..x.", "synth"), ("arpeggio", "XxxxXxxxXxxxXxxx", "synth"),
         ("held", HELD, "pad"), ("block", "..x...x...x...x.", "piano")),
        (("roots", "..x...x...x...x.", "machine"), ("octaves", EIGHTHS, "machine")),
    ),
    Style(
        "soul", "4/4", (72, 126), 4,
        ({"kick": "X..x....X.x.....", "snare": "....X..o.o..X...", "hat": "x.x.x.x.x.x.x.x.",
          "tambourine": "....x.......x..."},
         {"kick": "X.....x...x.....", "snare": "X...X...X...X...", "hat": "x.x.x.x.x.x.x.x."}),
        (("block", "X..x..x.....x...", "keys"), ("block", "......x.......X.", "brass"),
         ("strum", "....X.......X...", "clean"), ("held", HELD, "organ")),
        (("walk", "X...x...x...x...", "electric"), ("roots", "X..x..x.x..x....", "electric")),
        sevenths=0.45,
    ),
    Style(
        "disco", "4/4", (104, 130), 4,
        ({"kick": "X...X...X...X...", "snare": "....X.......X...", "hat": "x.ox..ox..ox..ox",
          "open": "..x...x...x...x."},
         {"kick": "X...X...X...X...", "clap": "....X.......X...", "cowbell": "x.x.x.x.x.x.x.x."}),
        (("strum", "x.xx.xx.x.xx.xx.", "clean"), ("held", HELD, "strings"),
         ("block", QUARTERS, "keys"),
         ("block", "..........X..X..", "brass")),
        (("octaves", EIGHTHS, "electric"),), sevenths=0.3,
    ),
    Style(
        "hip-hop", "4/4", (68, 100), 4,
        ({"kick": "X..x..x...x.....", "snare": "....X.......X...", "hat": "xoxoxoxoxoxoxoxo"},
         {"kick": "X......x.x......", "clap": "....X.......X...", "hat": "x.x.x.xxx.x.x.x."}),
        (("held", HELD, "keys"), ("block", "X..x....X.......", "piano"), ("held", HELD, "pad"),
         ("arpeggio", EIGHTHS, "mallet")),
        (("roots", "X..x......x.....", "machine"), ("roots", "X.......X..x....", "electric")),
        sevenths=0.5, swing=(0.5, 0.62, 0.5),
    ),
)  # fmt: skip

#: Turns of four bars in major, verses and choruses; borrowed chords among them.
MAJOR_TURNS = (
    "I V vi IV", "I vi IV V", "vi IV I V", "I IV V IV", "I IV I V", "I iii IV V", "IV V I vi",
    "I I IV V", "ii V I I", "I vi ii V", "IV I V vi", "I bVII IV I", "I IV iv I", "I III vi IV",
    "I II IV I", "I V ii IV", "vi ii V I", "I,V vi,iii IV,I V", "I,vi ii,V I,vi ii,V",
    "I V/3 vi IV", "I I/3 IV V", "I bVI bVII I", "IV V iii vi", "I viio vi V", "IV iv iii VI",
)  # fmt: skip
MINOR_TURNS = (
    "i bVI bIII bVII", "i iv V i", "i bVII bVI V", "i bVII iv i", "i bVI iv V", "i i iv V",
    "iv i V i", "i bIII bVII iv", "iio V i i", "i v bVI bVII", "i,bVII bVI,V i,bVII bVI,V",
    "bVI bVII i i", "i IV i V", "i V/3 bIII iv", "i i/3 iv V", "iv bVII bIII bVI", "i iv bVII bIII",
)  # fmt: skip
BLUES = "I IV I I IV IV I I V IV I V"
