"""Make the singer's version of one song, from file to file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from karaoke.audio import (
    AudioReader,
    Block,
    Spool,
    in_blocks,
    output_format,
    read_tags,
)
from karaoke.audio.blocks import Warn
from karaoke.audio.filtering import measure_loudness, shifted
from karaoke.errors import NoInputError, UsageError
from karaoke.files import PartFile, writing_to
from karaoke.jobs.manifest import SplitSettings
from karaoke.jobs.splitting import SplitTask, encode_spool, fill_spools
from karaoke.jobs.task import Tools
from karaoke.lyrics import (
    Lyrics,
    Timeline,
    write_ass,
    write_enhanced_lrc,
    write_kar,
    write_lrc,
    write_srt,
)
from karaoke.making.font import Font
from karaoke.making.screens import Style, draw
from karaoke.making.video import Picture, render

#: What the model hears of the song before and after an excerpt, so that its ends sound as they do
#: in the whole song.
CONTEXT_SECONDS = 5.0
#: True peaks above it clip in players and lossy formats.
HIGHEST_PEAK_DB = -1.0
STEMS = ("vocals", "instrumental")
#: More samples than any song has.
ENDLESS = 1 << 62
#: What words are written as, by the extension.
WRITERS: dict[str, Callable[[Lyrics, Timeline], bytes]] = {
    "lrc": write_lrc,
    "elrc": write_enhanced_lrc,
    "srt": write_srt,
    "ass": write_ass,
    "kar": write_kar,
}


@dataclass(frozen=True)
class MakeSettings(SplitSettings):
    """What the singer's version depends on besides the song.

    Parameters
    ----------
    guide_db
        Level of the voice under the band, 0 for that in the song; None for no voice.
    semitones, tempo
        By which band and voice are moved.
    loudness_lufs
        To which all of it is brought by one gain, by BS.1770; None for that of the song.
    excerpt
        Seconds of the song at which it begins and ends; None for its own.
    stems_from
        Folder of stems that exist; empty to separate the song.
    words_sha256
        Of what is drawn; empty where there is no film.
    picture
        What is behind the words.
    """

    command: str = "make"
    guide_db: float | None = None
    semitones: float = 0.0
    tempo: float = 1.0
    loudness_lufs: float | None = None
    excerpt: tuple[float, float | None] | None = None
    stems_from: str = ""
    words_sha256: str = ""
    picture: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Film:
    """What a film is made of besides its sound.

    Parameters
    ----------
    lyrics
        With times.
    style, font, picture
        Of the words, and behind them.
    offset_seconds
        How much later the words come than the lyrics say.
    cover
        Whether the song's cover is the background, if it has one.
    """

    lyrics: Lyrics
    style: Style
    font_path: Path
    picture: Picture
    offset_seconds: float = 0.0
    cover: bool = True


@dataclass
class MakeTask(SplitTask):
    """Separate a song, move band and voice to the singer's key and tempo, and mix them.

    Parameters are those of :class:`karaoke.jobs.splitting.SplitTask`; the only output of the job
    is ``karaoke``. With neither key nor tempo changed, the band alone is the instrumental of
    ``karaoke split``, and with the voice at 0 dB it is the song, sample by sample.
    """

    settings: MakeSettings
    film: Film | None = None

    @property
    def needs_model(self) -> bool:
        """Whether the song is to be separated."""
        return not self.settings.stems_from

    @property
    def spool_count(self) -> int:
        """How often the song lies on the disk: both stems, perhaps shifted, and the mix."""
        moved = self.settings.semitones != 0 or self.settings.tempo != 1
        heard = 1 if self.settings.guide_db is None else 2
        return heard * (2 if moved else 1) + 1

    def compose(
        self, reader: AudioReader, tools: Tools, files: ExitStack, warn: Warn
    ) -> dict[str, Spool]:
        """Make the mix, by way of the stems."""
        settings, rate = self.settings, reader.sample_rate
        heard = STEMS[1:] if settings.guide_db is None else STEMS

        def spool() -> Spool:
            return Spool(self.job.manifest.parent, reader.channels, files)

        start, stop = self.span
        first = round(start * rate)
        last = ENDLESS if stop is None else round(stop * rate)
        context = min(first, round(CONTEXT_SECONDS * rate))
        stems = {stem: spool() for stem in heard}
        if settings.stems_from:
            read_stems(Path(settings.stems_from), stems, reader)
            context = first
        else:
            begin, end = first - context, last + round(CONTEXT_SECONDS * rate)
            fill_spools(stems, reader, between(reader.blocks(), begin, end), tools, warn)
        frames = min(next(iter(stems.values())).frames - context, last - first)
        if frames <= 0:
            raise UsageError(
                f'"{self.job.source}": is over before the excerpt begins',
                hint="Choose an earlier --excerpt.",
            )
        parts = []
        for stem, source in stems.items():
            part = part_of(source, context, frames, tools)
            if settings.semitones or settings.tempo != 1:
                moved = spool()
                kind = "voice" if stem == "vocals" else "band"
                for block in shifted(
                    part,
                    sample_rate=rate,
                    channels=reader.channels,
                    length=frames,
                    semitones=settings.semitones,
                    tempo=settings.tempo,
                    kind=kind,
                ):
                    moved.append(block)
                part = part_of(moved, 0, moved.frames, tools)
            gain = 1.0 if stem != "vocals" else 10 ** ((settings.guide_db or 0.0) / 20)
            parts.append((part, np.float32(gain)))
        mix = spool()
        for blocks in zip(*(part for part, _ in parts), strict=True):
            # Not sum(), which begins with a zero: the band alone stays what it is, bit by bit.
            mix.append(reduce(np.add, [g * b for b, (_, g) in zip(blocks, parts, strict=True)]))
        return {"karaoke": mix}

    @property
    def span(self) -> tuple[float, float | None]:
        """Seconds of the song at which the excerpt begins and ends; None for the song's end."""
        return self.settings.excerpt or (0.0, None)

    def gain(self, spools: dict[str, Spool], sample_rate: int, warn: Warn) -> float:
        """Find the gain that gives the loudness that is wanted, and with which nothing clips."""
        wanted = self.settings.loudness_lufs
        if wanted is None:
            return super().gain(spools, sample_rate, warn)
        mix = next(iter(spools.values()))
        found = measure_loudness(
            in_blocks(mix.read, mix.frames), sample_rate=sample_rate, channels=mix.channels
        )
        if math.isinf(found.integrated_lufs):
            warn("it is too soft or too short to be brought to a loudness")
            return super().gain(spools, sample_rate, warn)
        gain_db = wanted - found.integrated_lufs
        if gain_db + found.true_peak_db > HIGHEST_PEAK_DB:
            gain_db = HIGHEST_PEAK_DB - found.true_peak_db
            reached = found.integrated_lufs + gain_db
            warn(f"its peaks allow {reached:.1f} LUFS, not {wanted:g}; nothing was compressed")
        return float(10 ** (gain_db / 20))

    def add(
        self,
        parts: dict[str, PartFile],
        spools: dict[str, Spool],
        gain: float,
        reader: AudioReader,
        tools: Tools,
        files: ExitStack,
        warn: Warn,
    ) -> None:
        """Write the words, in their formats and as a film."""
        if self.film is None:
            return
        film, mix = self.film, spools["karaoke"]
        seconds = mix.frames / reader.sample_rate
        start, end = self.span
        timeline = Timeline(start, self.settings.tempo, 0.0, film.offset_seconds, end)
        for name, write in WRITERS.items():
            if name in parts:
                with writing_to(parts[name].target):
                    parts[name].path.write_bytes(write(film.lyrics, timeline))
        if "video" not in parts:
            return
        font = Font(film.font_path)
        words = draw(
            film.lyrics,
            timeline,
            size=film.picture.size,
            font=font,
            style=film.style,
            title=film.lyrics.title,
            artist=film.lyrics.artist,
        )
        for warning in film.lyrics.warnings:
            warn(warning)
        late = [s.start_seconds for s in film.lyrics.syllables() if s.start_seconds is not None]
        if late and timeline.to_output(max(late)) > seconds + 1 and self.settings.excerpt is None:
            warn("its lyrics go on after its end; are they those of this song?")
        if "karaoke" in parts and self.chosen.extension == "m4a":
            sound = parts["karaoke"]
        else:
            sound = files.enter_context(PartFile(parts["video"].target.with_suffix(".m4a")))
            encode_spool(sound, mix, gain, reader, output_format("m4a"), tools.check)
        render(
            parts["video"].path,
            words=words,
            font=font,
            sound=sound.path,
            seconds=seconds,
            picture=self.behind(film, reader, files),
            progress=lambda done: tools.progress(done, seconds),
            check=tools.check,
        )

    def behind(self, film: Film, reader: AudioReader, files: ExitStack) -> Picture:
        """Choose the background: the song's cover, where it has one and nobody chose another."""
        pictures = read_tags(reader.path, reader.stream).pictures if film.cover else ()
        if not pictures:
            return film.picture
        folder = Path(files.enter_context(TemporaryDirectory(prefix="karaoke-")))
        cover = folder / "cover"
        cover.write_bytes(pictures[0].data)
        return replace(film.picture, image=cover, blurred=True)

    def warnings(self, reader: AudioReader) -> list[str]:
        """Tell what a listener might wonder about; not of what was left out on purpose."""
        found = super().warnings(reader)
        whole = self.needs_model and self.span[1] is None
        return found if whole else [said for said in found if said != reader.damage]

    def facts(
        self, spools: dict[str, Spool], residual: float | None, tools: Tools
    ) -> dict[str, Any]:
        """Collect how it was mixed, and what its words are."""
        names = ("guide_db", "semitones", "tempo", "loudness_lufs", "excerpt")
        facts: dict[str, Any] = {"mix": {name: getattr(self.settings, name) for name in names}}
        if self.film is not None:
            lyrics = self.film.lyrics
            facts["lyrics"] = {
                "format": lyrics.format,
                "lines": len(lyrics.lines),
                "syllables": sum(1 for _ in lyrics.syllables()),
                "timing": lyrics.timing,
            }
        return facts


def between(blocks: Iterator[Block], first: int, last: int) -> Iterator[Block]:
    """Cut a stretch out of a stream, and do not read on behind it."""
    at = 0
    for block in blocks:
        part = block[:, max(first - at, 0) : max(last - at, 0)]
        at += block.shape[1]
        if part.shape[1]:
            yield part
        if at >= last:
            return


def part_of(spool: Spool, first: int, frames: int, tools: Tools) -> Iterator[Block]:
    """Read a part of a spool in blocks, as long as they are wanted."""
    for block in in_blocks(lambda start, length: spool.read(first + start, length), frames):
        tools.check()
        yield block


def read_stems(folder: Path, spools: dict[str, Spool], reader: AudioReader) -> None:
    """Fill spools from files that are called as their stems are.

    Raises
    ------
    NoInputError
        A stem is not there.
    UsageError
        It has another rate or other channels than the song.
    """
    for stem, spool in spools.items():
        found = sorted(path for path in folder.glob(f"{stem}.*") if path.is_file())
        if not found:
            raise NoInputError(f'"{folder}": has no {stem}', hint="Name the folder of its stems.")
        with AudioReader(found[0]) as stems:
            if (stems.sample_rate, stems.channels) != (reader.sample_rate, reader.channels):
                raise UsageError(
                    f'"{found[0]}": {stems.sample_rate} Hz and {stems.channels} channels, but the'
                    f" song has {reader.sample_rate} Hz and {reader.channels}",
                    hint="Take the stems of this very song.",
                )
            for block in stems.blocks():
                spool.append(block)
