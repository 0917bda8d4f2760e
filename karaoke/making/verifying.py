"""What was written, decoded again and compared with what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from karaoke.audio import Block, in_blocks
from karaoke.audio.blocks import Warn
from karaoke.files import PartFile
from karaoke.making.films import SOUNDS, Film, Studio
from karaoke.making.font import Font
from karaoke.making.game import GAME_MIXES, MARKS, PREFIX
from karaoke.making.layout import lay_out
from karaoke.making.measuring import decoded, lateness, measure_gains, measure_key, measure_tempo
from karaoke.making.mixes import Mix
from karaoke.making.watching import OFF_PICTURES, watch

#: How far a sound may be from its place, its key, its level and its tempo, before it is worth a
#: warning.
LATE_SECONDS, OFF_CENTS, OFF_DB, OFF_TEMPO = 0.02, 8.0, 0.5, 0.003


@dataclass(frozen=True)
class Wanted:
    """How the singer's sound should be.

    Parameters
    ----------
    mix
        That it was made from.
    source
        The same before key and tempo were changed.
    semitones, tempo
        By which they were.
    guide_db
        Level of the voice, the first part of the mix; None where it has none.
    """

    mix: Mix
    source: Mix
    semitones: float
    tempo: float
    guide_db: float | None


def verify(
    parts: Mapping[str, PartFile], wanted: Wanted, film: Film | None, studio: Studio, warn: Warn
) -> dict[str, Any]:
    """Decode what was written, measure it, and warn of what is off.

    Parameters
    ----------
    parts
        Of all outputs, finished.
    wanted
        What they should be.
    film, studio
        What they were written with.
    """
    sounds = dict(sounds_among(parts, film))
    rate = studio.reader.sample_rate
    late: dict[str, float | None] = {}
    for name, (path, stream, mix) in sounds.items():
        studio.check()
        found = lateness(decoded(path, rate, stream), studio.mixes[mix])
        late[name] = None if found is None else round(found / rate, 6)
    facts: dict[str, Any] = {"late_seconds": late}
    sung = next(((p, n, name) for name, (p, n, mix) in sounds.items() if mix == "karaoke"), None)
    if sung is not None:
        path, stream, name = sung
        facts |= sound_facts(path, stream, wanted, rate, late[name] or 0.0)
    if film is not None and film.lyrics is not None:
        words = {
            name: words_facts(parts[name].path, film, studio) for name in SOUNDS if name in parts
        }
        facts |= {"words": words} if words else {}
    for complaint in complaints(facts, wanted, film):
        warn(complaint)
    return facts


def sounds_among(
    parts: Mapping[str, PartFile], film: Film | None
) -> Iterator[tuple[str, tuple[Path, int, str]]]:
    """Yield all sounds that were written: name, and file, stream from 1, and name of the mix."""
    if "karaoke" in parts:
        yield "karaoke", (parts["karaoke"].path, 1, "karaoke")
    for container in SOUNDS:
        if container in parts and film is not None:
            for number, mix in enumerate(film.tracks[container], 1):
                name = container if number == 1 else f"{container} {mix}"
                yield name, (parts[container].path, number, mix)
    for name, mix in zip(MARKS, GAME_MIXES, strict=True):
        if part := parts.get(f"{PREFIX}{name}"):
            yield f"{PREFIX}{name}", (part.path, 1, mix)


def sound_facts(
    path: Path, stream: int, wanted: Wanted, sample_rate: int, late_seconds: float
) -> dict[str, Any]:
    """Measure the singer's sound: level of the voice, and what changed with key and tempo."""
    mix, source = wanted.mix, wanted.source

    def sound() -> Iterator[Block]:
        return decoded(path, sample_rate, stream)

    gains = measure_gains(sound(), mix, round(late_seconds * sample_rate))
    guided = wanted.guide_db is not None
    facts: dict[str, Any] = {
        "guide_db": round(gains.parts_db[0] - gains.parts_db[-1], 2) if guided else None,
        "residual_db": round(gains.residual_db, 1),
    }
    if wanted.semitones or wanted.tempo != 1:
        original = in_blocks(source.read, source.frames)
        key = measure_key(sound(), original, sample_rate, wanted.semitones)
        original = in_blocks(source.read, source.frames)
        lead_in = mix.before.shape[1] / sample_rate
        tempo = measure_tempo(sound(), original, sample_rate, wanted.tempo, lead_in)
        facts["semitones"] = None if key is None else round(key, 3)
        facts["tempo"] = None if tempo is None else round(tempo[0], 5)
        facts["attacks_late_seconds"] = None if tempo is None else round(tempo[1], 4)
    return facts


def words_facts(path: Path, film: Film, studio: Studio) -> dict[str, Any]:
    """Measure when the words of a film light up."""
    assert film.lyrics is not None
    size, style, font = film.picture.size, film.style, Font(film.font_path)
    layout = lay_out(film.lyrics, studio.timeline, size=size, font=font, style=style,
                     chords=bool(film.chords))  # fmt: skip
    return watch(
        path,
        layout,
        style=style,
        font=font,
        size=size,
        fps=film.picture.fps,
        progress=lambda done: studio.progress(done, studio.seconds),
        check=studio.check,
    )


def complaints(facts: Mapping[str, Any], wanted: Wanted, film: Film | None) -> list[str]:
    """Put into words what is not as it should be."""
    found = []
    for name, late in facts["late_seconds"].items():
        if late is None:
            found.append(f"the sound of {name} could not be compared with what it was made from")
        elif abs(late) > LATE_SECONDS:
            found.append(f"the sound of {name} is {late:.3f} s late")
    guide, key, tempo = (facts.get(name) for name in ("guide_db", "semitones", "tempo"))
    if guide is not None and abs(guide - (wanted.guide_db or 0.0)) > OFF_DB:
        found.append(f"its voice came out at {guide:.1f} dB")
    if key is not None and abs(key - wanted.semitones) > OFF_CENTS / 100:
        found.append(f"its key moved by {key:.2f} semitones")
    if tempo is not None and abs(tempo / wanted.tempo - 1) > OFF_TEMPO:
        found.append(f"its tempo changed by a factor of {tempo:.3f}")
    for container, words in facts.get("words", {}).items():
        if words["measured"] < words["syllables"] / 2:
            found.append(
                f"only {words['measured']} of {words['syllables']} syllables of {container}"
                " could be measured"
            )
        if words["measured"] and film is not None:
            worst = max(words["latest_seconds"], words["earliest_seconds"], key=abs)
            if abs(worst) > OFF_PICTURES / film.picture.fps:
                found.append(f"words of {container} light up up to {worst:.2f} s late")
    return found


def as_sentence(facts: Mapping[str, Any]) -> str:
    """Say for people what was found."""
    late = [value for value in facts["late_seconds"].values() if value is not None]
    found = [f"sound within {1000 * max(map(abs, late)):.0f} ms"] if late else []
    if facts.get("guide_db") is not None:
        found.append(f"voice at {facts['guide_db']:.1f} dB")
    if facts.get("semitones") is not None:
        found.append(f"key {facts['semitones']:+.2f}")
    if facts.get("tempo") is not None:
        found.append(f"tempo {facts['tempo']:.3f}")
    for container, words in facts.get("words", {}).items():
        if words["measured"]:
            worst = max(words["latest_seconds"], words["earliest_seconds"], key=abs)
            found.append(
                f"{words['measured']} of {words['syllables']} syllables of {container}"
                f" within {1000 * abs(worst):.0f} ms"
            )
    return "; ".join(found)
