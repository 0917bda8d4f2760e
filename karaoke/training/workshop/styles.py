"""Styles of instrumental music: grooves, progressions and instruments.

Everything here is typical of its style and was written for this project; no song is copied.
Rhythms are bars of 16 steps: ``x`` is a stroke, ``o`` a soft one, ``.`` none. Programs are those of
General MIDI, counted from 0; choirs and voices (52..54, 85, 91) are not used.
"""

from __future__ import annotations

from dataclasses import dataclass

ACOUSTIC_GUITARS = (24, 25)
DISTORTED_GUITARS = (29, 30)
SYNTH_BASSES = (38, 39)
STRINGS = (48, 49, 50)
PADS = (88, 89, 90, 92, 94)
SYNTH_LEADS = (80, 81, 82, 84, 87)
#: Instruments that sound like voices with bends and vibrato: flutes, whistles, bows, reeds.
FLUTES = (73, 75, 77, 78, 79)
BOWS = (40, 41, 42, 110)
SAXOPHONES = (64, 65, 66, 67)

#: Roots of chords as degrees of the scale, one per bar.
MAJOR_TURNS = ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 3), (0, 2, 3, 4), (3, 4, 0, 5), (0, 3, 0, 4))
MINOR_TURNS = ((0, 5, 2, 6), (0, 6, 5, 6), (0, 3, 5, 4), (0, 2, 6, 5), (0, 0, 5, 6), (5, 6, 0, 0))
BLUES = ((0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4),)
JAZZ_TURNS = ((1, 4, 0, 5), (0, 5, 1, 4), (2, 5, 1, 4), (0, 3, 2, 5, 1, 4, 0, 0))


@dataclass(frozen=True)
class Style:
    """What a band plays.

    Parameters
    ----------
    tempo
        Lowest and highest tempo, in beats per minute.
    drums
        Rhythm per General MIDI drum (36 kick, 38 snare, 42 closed and 46 open hat, 51 ride, ...).
    bass_programs, bass
        Instruments and rhythm of the bass.
    comp_programs, comp
        Instruments and rhythm of the chords.
    lead_programs
        Instruments of the melody.
    turns
        Chord progressions to choose from.
    minor
        Whether the scale is minor.
    swing
        Delay of every second eighth, as a share of a sixteenth.
    pads
        Instruments of held chords; empty for none.
    power_chords
        Whether chords only have a root and a fifth.
    """

    tempo: tuple[float, float]
    drums: dict[int, str]
    bass_programs: tuple[int, ...]
    bass: str
    comp_programs: tuple[int, ...]
    comp: str
    lead_programs: tuple[int, ...]
    turns: tuple[tuple[int, ...], ...]
    minor: bool = False
    swing: float = 0.0
    pads: tuple[int, ...] = ()
    power_chords: bool = False


STYLES = {
    "rock": Style(
        tempo=(95, 150),
        drums={36: "x.....x.x.......", 38: "....x.......x...", 42: "x.o.x.o.x.o.x.o."},
        bass_programs=(33, 34),
        bass="x.x.x.x.x.x.x.x.",
        comp_programs=(29, 30, 27),
        comp="x.x.x.x.x.x.x.x.",
        lead_programs=(29, 30, 81),
        turns=MAJOR_TURNS + MINOR_TURNS,
        power_chords=True,
    ),
    "punk": Style(
        tempo=(150, 200),
        drums={36: "x...x...x.x.x...", 38: "..x...x...x...x.", 46: "x.x.x.x.x.x.x.x."},
        bass_programs=(34,),
        bass="x.x.x.x.x.x.x.x.",
        comp_programs=DISTORTED_GUITARS,
        comp="xxxxxxxxxxxxxxxx",
        lead_programs=(30, 29),
        turns=MAJOR_TURNS,
        power_chords=True,
    ),
    "metal": Style(
        tempo=(100, 180),
        drums={36: "x.xxx.xxx.xxx.xx", 38: "....x.......x...", 49: "x.......", 42: "x.x."},
        bass_programs=(34, 36),
        bass="x.xxx.xxx.xxx.xx",
        comp_programs=(30,),
        comp="x.xxx.xxx..xx.xx",
        lead_programs=(30, 29),
        turns=MINOR_TURNS,
        minor=True,
        power_chords=True,
    ),
    "ballad": Style(
        tempo=(60, 84),
        drums={36: "x.......x.o.....", 38: "....x.......x...", 42: "x.x.x.x.x.x.x.x."},
        bass_programs=(32, 33),
        bass="x.....x.x.......",
        comp_programs=(0, 1, 2, 4, 5, 24, 25),
        comp="x.o.x.o.x.o.x.o.",
        lead_programs=(*FLUTES, *SAXOPHONES, 40, 29, 30, 48),
        turns=MAJOR_TURNS,
        pads=STRINGS,
    ),
    "folk": Style(
        tempo=(80, 130),
        drums={36: "o.......o.......", 54: "....o.......o..."},
        bass_programs=(32,),
        bass="x.......x.......",
        comp_programs=ACOUSTIC_GUITARS,
        comp="x..xx.x.x..xx.x.",
        lead_programs=(22, 40, 110, 105, *FLUTES),
        turns=MAJOR_TURNS,
    ),
    "funk": Style(
        tempo=(92, 116),
        drums={36: "x..x..x...x..x..", 38: "....x..o.o..x..o", 42: "xoxoxoxoxoxoxoxo"},
        bass_programs=(36, 33, 34),
        bass="x..x..xx..x..x.x",
        comp_programs=(28, 27, 7, 4),
        comp="..x..x.x..x.xx..",
        lead_programs=(61, 65, 66, 80, 29),
        turns=MINOR_TURNS,
        minor=True,
    ),
    "disco": Style(
        tempo=(108, 128),
        drums={36: "x...x...x...x...", 38: "....x.......x...", 46: "..x...x...x...x."},
        bass_programs=(33, 38),
        bass="x.x.x.x.x.x.x.x.",
        comp_programs=(28, 4, 17),
        comp="..x...x...xx..x.",
        lead_programs=(81, 61, 48, 49, 78),
        turns=MINOR_TURNS,
        minor=True,
        pads=STRINGS,
    ),
    "house": Style(
        tempo=(118, 130),
        drums={36: "x...x...x...x...", 39: "....x.......x...", 46: "..x...x...x...x."},
        bass_programs=SYNTH_BASSES,
        bass="..x...x...x..xx.",
        comp_programs=(81, 2, 5, 17),
        comp="x..x..x.x..x..x.",
        lead_programs=(*SYNTH_LEADS, 75, 78),
        turns=MINOR_TURNS,
        minor=True,
        pads=PADS,
    ),
    "synth pop": Style(
        tempo=(100, 126),
        drums={36: "x...x...x...x...", 40: "....x.......x...", 42: "x.x.x.x.x.x.x.x."},
        bass_programs=SYNTH_BASSES,
        bass="xxxxxxxxxxxxxxxx",
        comp_programs=(81, 80, 62, 90),
        comp="x..x..x...x..x..",
        lead_programs=(*SYNTH_LEADS, 65, 75, 78, 30),
        turns=MAJOR_TURNS + MINOR_TURNS,
        pads=PADS,
    ),
    "hip hop": Style(
        tempo=(76, 98),
        drums={36: "x.....xx..x.....", 38: "....x.......x..o", 42: "x.xxx.x.x.xxx.xx"},
        bass_programs=(38, 33, 35),
        bass="x.....x...x.....",
        comp_programs=(4, 0, 11, 45),
        comp="x.......o..x....",
        lead_programs=(73, 75, 78, 11, 80, 40),
        turns=MINOR_TURNS,
        minor=True,
        swing=0.25,
    ),
    "reggae": Style(
        tempo=(66, 84),
        drums={36: "........x.......", 38: "........x.......", 42: "x.o.x.o.x.o.x.o."},
        bass_programs=(33, 35),
        bass="x..x..x...x.x...",
        comp_programs=(16, 27, 28),
        comp="....x.......x...",
        lead_programs=(16, 57, 22),
        turns=MINOR_TURNS,
    ),
    "bossa": Style(
        tempo=(110, 140),
        drums={36: "x..xx..xx..xx..x", 37: "x..x..x...x..x..", 42: "xoxoxoxoxoxoxoxo"},
        bass_programs=(32,),
        bass="x..xx..xx..xx..x",
        comp_programs=(24, 0, 4),
        comp="x..x..x...x..x..",
        lead_programs=(73, 78, 65, 66, 56),
        turns=JAZZ_TURNS,
    ),
    "swing": Style(
        tempo=(120, 190),
        drums={36: "o...o...o...o...", 44: "....x.......x...", 51: "x...x.x.x...x.x."},
        bass_programs=(32,),
        bass="x...x...x...x...",
        comp_programs=(0, 26, 16),
        comp="...x..x....x....",
        lead_programs=(56, 65, 66, 71, 11),
        turns=JAZZ_TURNS,
        swing=0.33,
    ),
    "blues": Style(
        tempo=(80, 125),
        drums={36: "x.......x.....x.", 38: "....x.......x...", 51: "x..xx..xx..xx..x"},
        bass_programs=(32, 33),
        bass="x...x...x...x...",
        comp_programs=(0, 16, 26, 29),
        comp="x.....x...x.....",
        lead_programs=(22, 29, 65, 26),
        turns=BLUES,
        swing=0.33,
    ),
    "country": Style(
        tempo=(100, 140),
        drums={36: "x.......x.......", 38: "....x..o....x..o", 42: "x.x.x.x.x.x.x.x."},
        bass_programs=(32, 33),
        bass="x.......x.......",
        comp_programs=(25, 27, 105),
        comp="..x.x.x...x.x.x.",
        lead_programs=(40, 110, 26, 105),
        turns=MAJOR_TURNS,
    ),
    "latin": Style(
        tempo=(90, 115),
        drums={36: "x...x...x...x...", 63: "x..x..x.x..x..x.", 69: "xoxoxoxoxoxoxoxo"},
        bass_programs=(32, 33),
        bass="...x..x....x..x.",
        comp_programs=(0, 24, 1),
        comp="x..x..x..x..x.x.",
        lead_programs=(56, 57, *FLUTES),
        turns=MINOR_TURNS,
        minor=True,
    ),
    "orchestra": Style(
        tempo=(60, 120),
        drums={47: "x..............."},
        bass_programs=(43, 42),
        bass="x.......x.......",
        comp_programs=(48, 45, 46, 60),
        comp="x...x...x...x...",
        lead_programs=(*BOWS[:3], 48, 71, 73, 68, 60),
        turns=MAJOR_TURNS + MINOR_TURNS,
        pads=(48, 49, 60),
    ),
}
