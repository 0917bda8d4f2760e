"""The film of a song to sing to: words over a background, and the sound, put together by ffmpeg."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from karaoke.audio.ffmpeg import DEMUXERS, FfmpegProcess
from karaoke.audio.filtering import require_filter
from karaoke.errors import KaraokeError, UsageError, WriteError
from karaoke.files import SPACE
from karaoke.lyrics import Timeline
from karaoke.making.font import Font
from karaoke.making.footage import Footage

#: H.264 that every player takes; nothing moves but letters.
ENCODING = {
    "vcodec": "libx264",
    "preset": "veryfast",
    "crf": 20,
    "pix_fmt": "yuv420p",
}
CONTAINERS = {
    "mp4": {"f": "mp4", "movflags": "+faststart"},
    "mkv": {"f": "matroska"},
}
#: Codecs of pictures that players expect in each container; others are encoded anew.
COPIED = {
    "mp4": frozenset(("h264", "hevc", "av1", "mpeg4")),
    "mkv": frozenset(("h264", "hevc", "av1", "mpeg4", "vp8", "vp9", "mpeg2video", "theora")),
}
SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}
#: Larger pictures are a slip of the hand, or a bomb.
MOST_PIXELS = 3840 * 2160 * 4


@dataclass(frozen=True)
class Picture:
    """What the film looks like behind its words.

    Parameters
    ----------
    size
        Width and height in pixels, both even.
    fps
        Pictures a second.
    colour
        ``#rrggbb``.
    image
        A picture instead, which is cut to fit and darkened; None for the colour alone.
    blurred
        Whether to blur it, as suits covers, which are small and square.
    footage
        A film instead.
    copied
        Whether the film's pictures are taken as they are, if nothing has to be drawn on them.
    """

    size: tuple[int, int] = SIZES["720p"]
    fps: float = 25.0
    colour: str = "#000000"
    image: Path | None = None
    blurred: bool = False
    footage: Footage | None = None
    copied: bool = False


@dataclass(frozen=True)
class Track:
    """A sound of a film that has several to choose from.

    Parameters
    ----------
    title
        Shown by players.
    path
        Of a file, encoded as the container wants it.
    language
        Three letters of ISO 639-2.
    """

    title: str
    path: Path
    language: str = "und"


def background(picture: Picture, timeline: Timeline, seconds: float) -> ffmpeg.nodes.Stream:
    """Compose what is behind the words: a film, a still that :func:`prepared` made, or a colour."""
    wide, high = picture.size
    if picture.footage is not None:
        shown = film_input(picture.footage.path, timeline)["V:0"]
        if timeline.tempo != 1:
            shown = shown.filter("setpts", f"PTS/{timeline.tempo:.9f}")
        shown = shown.filter("fps", fps=f"{picture.fps:g}", start_time=0)
        if timeline.lead_in_seconds:
            lead_in = f"{timeline.lead_in_seconds:.6f}"
            shown = shown.filter("tpad", start_duration=lead_in, start_mode="clone")
        shown = shown.filter("scale", "trunc(iw*sar/2)*2", "ih").filter("setsar", 1)
        shown = shown.filter("scale", wide, high, force_original_aspect_ratio="decrease")
        shown = shown.filter("pad", wide, high, "(ow-iw)/2", "(oh-ih)/2").filter("setsar", 1)
        return shown.filter("tpad", stop=-1, stop_mode="clone")
    if picture.image is not None:
        return ffmpeg.input(f"file:{picture.image}", loop=1, framerate=picture.fps,
                            t=f"{seconds:.3f}", protocol_whitelist="file")  # fmt: skip
    spec = f"color=c=0x{picture.colour[1:]}:s={wide}x{high}:r={picture.fps:g}:d={seconds:.3f}"
    return ffmpeg.input(spec, f="lavfi")


def film_input(path: Path, timeline: Timeline) -> ffmpeg.nodes.Stream:
    """Open a film from where the timeline begins."""
    start = timeline.start_seconds
    return ffmpeg.input(f"file:{path}", protocol_whitelist="file", format_whitelist=DEMUXERS,
                        **({"ss": f"{start:.6f}"} if start > 0 else {}))  # fmt: skip


def render(
    target: Path,
    *,
    container: str,
    words: str,
    font: Font,
    tracks: Sequence[Track],
    timeline: Timeline,
    seconds: float,
    picture: Picture,
    progress: Callable[[float], None],
    check: Callable[[], None],
) -> None:
    """Write a film of words over a background.

    Parameters
    ----------
    target
        To write to, whatever is there.
    container
        A key of :data:`CONTAINERS`.
    words
        From :func:`karaoke.making.screens.draw`; may be empty.
    font
        That they are written in.
    tracks
        Sounds, taken as they are; the first is what players choose.
    timeline
        Of a film in the background: where it begins, and its speed.
    seconds
        How long the film is.
    picture
        What is behind the words.
    progress
        Told the seconds that are done.
    check
        Called between pictures; what it raises ends the work.

    Raises
    ------
    ToolMissingError
        This ffmpeg has no libass.
    WriteError
        It did not come out whole.
    """
    if picture.copied and picture.footage is not None:
        shown = film_input(picture.footage.path, timeline)["V:0"]
        mux(target, container, shown, tracks, {"vcodec": "copy"}, progress, check)
        return
    with tempfile.TemporaryDirectory(prefix="karaoke-") as folder:
        if picture.image is not None:
            picture = prepared(picture, Path(folder, "background.png"))
        shown = background(picture, timeline, seconds)
        if words:
            shown = with_words(shown, words, font, Path(folder))
        options = {**ENCODING, "t": f"{seconds:.3f}"}
        mux(target, container, shown, tracks, options, progress, check)


def with_words(
    shown: ffmpeg.nodes.Stream, words: str, font: Font, folder: Path
) -> ffmpeg.nodes.Stream:
    """Draw words on pictures, by way of files in a folder.

    Its path may have no strange characters: in filters they would have to be escaped three times.

    Raises
    ------
    ToolMissingError
        This ffmpeg has no libass.
    """
    require_filter("ass")
    script, fonts = folder / "words.ass", folder / "fonts"
    fonts.mkdir(parents=True)
    script.write_text(words, encoding="utf-8")
    shutil.copy(font.path, fonts / f"font{font.path.suffix.lower()}")
    return shown.filter("ass", str(script), fontsdir=str(fonts))


def copy_pictures(
    target: Path,
    *,
    container: str,
    film: Path,
    tracks: Sequence[Track],
    progress: Callable[[float], None],
    check: Callable[[], None],
) -> None:
    """Write a film with the pictures of one that :func:`render` made, and other sounds."""
    shown = ffmpeg.input(f"file:{film}", protocol_whitelist="file").video
    mux(target, container, shown, tracks, {"vcodec": "copy"}, progress, check)


def mux(
    target: Path,
    container: str,
    shown: ffmpeg.nodes.Stream,
    tracks: Sequence[Track],
    options: dict[str, Any],
    progress: Callable[[float], None],
    check: Callable[[], None],
) -> None:
    """Put pictures and sounds into one file, each sound with its title."""
    heard = [ffmpeg.input(f"file:{t.path}", protocol_whitelist="file").audio for t in tracks]
    out = ffmpeg.output(shown, *heard, f"file:{target}", acodec="copy", v="level+info",
                        progress="pipe:1", nostats=None, map_metadata=1, map_chapters=-1,
                        **CONTAINERS[container], **options)  # fmt: skip
    *arguments, path = map(str, ffmpeg.get_args(out))
    for number, track in enumerate(tracks):
        # Players of MP4 show the name of the handler.
        for fact in (f"title={track.title}", f"handler_name={track.title}"):
            arguments += [f"-metadata:s:a:{number}", fact]
        arguments += [f"-metadata:s:a:{number}", f"language={track.language}"]
        arguments += [f"-disposition:a:{number}", "default" if number == 0 else "0"]
    run(["-y", *arguments, path], target, progress, check)


def prepared(picture: Picture, path: Path) -> Picture:
    """Cut a still to size, darken it, and perhaps blur it, once for the whole film.

    Raises
    ------
    UsageError
        It is no picture, or an absurdly large one.
    """
    wide, high = picture.size
    still = ffmpeg.input(f"file:{picture.image}", protocol_whitelist="file", max_pixels=MOST_PIXELS)
    still = still.filter("scale", wide, high, force_original_aspect_ratio="increase")
    still = still.filter("crop", wide, high)
    if picture.blurred:
        still = still.filter("gblur", sigma=round(high / 24))
    still = still.filter("eq", brightness=-0.12, contrast=0.7)
    out = ffmpeg.output(still, f"file:{path}", vframes=1, v="level+info").overwrite_output()
    process = FfmpegProcess(["-nostdin", *map(str, ffmpeg.get_args(out))])
    try:
        if process.wait() != 0 or not path.is_file():
            problem = [*process.problems, "ffmpeg failed"][-1]
            raise UsageError(
                f'"{picture.image}": not a picture ({problem})', hint="Choose another --background."
            )
    finally:
        process.kill()
    return replace(picture, image=path, blurred=False)


def run(
    arguments: list[str], target: Path, progress: Callable[[float], None], check: Callable[[], None]
) -> None:
    """Let ffmpeg work, and hear how far it is."""
    process = FfmpegProcess(["-nostdin", *map(str, arguments)], stdout=True)
    try:
        for line in process.stdout:
            check()
            key, _, value = line.strip().partition(b"=")
            if key == b"out_time_us" and value.isdigit():
                progress(int(value) / 1e6)
        if process.wait() != 0:
            problem = [*process.problems, "ffmpeg failed"][-1]
            raise WriteError(f'"{target}": {problem}', hint=SPACE)
    finally:
        process.kill()


def pictures_of(
    shown: ffmpeg.nodes.Stream,
    size: tuple[int, int],
    failure: Callable[[str], KaraokeError],
    count: int | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures ``(H, W, 3)``, red, green and blue, as ffmpeg makes them.

    Parameters
    ----------
    shown
        What they are made of.
    size
        Width and height.
    failure
        Makes an error of what ffmpeg says, where it fails, or makes none or fewer than ``count``.
    count
        How many to make; None for all that there are.
    """
    wide, high = size
    length = wide * high * 3
    limit = {} if count is None else {"vframes": count}
    out = ffmpeg.output(shown, "pipe:1", f="rawvideo", pix_fmt="rgb24", v="level+info", **limit)
    process = FfmpegProcess(["-nostdin", *map(str, ffmpeg.get_args(out))], stdout=True)
    made = 0
    try:
        while made != count and len(raw := process.stdout.read(length)) == length:
            yield np.frombuffer(raw, np.uint8).reshape(high, wide, 3)
            made += 1
        whole = made == count if count is not None else process.wait() == 0 and made > 0
        if not whole:
            raise failure([*process.problems, "ffmpeg stopped"][-1])
    finally:
        process.kill()
