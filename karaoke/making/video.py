"""The film of a song to sing to: words over a background, and the sound, put together by ffmpeg."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import ffmpeg

from karaoke.audio.ffmpeg import FfmpegProcess
from karaoke.audio.filtering import require_filter
from karaoke.errors import UsageError, WriteError
from karaoke.files import SPACE
from karaoke.making.font import Font

#: Night blue.
DEFAULT_COLOUR = "#101a30"
#: H.264 that every player takes; nothing moves but letters.
ENCODING = {
    "vcodec": "libx264",
    "preset": "veryfast",
    "crf": 20,
    "pix_fmt": "yuv420p",
    "movflags": "+faststart",
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
    """

    size: tuple[int, int] = SIZES["720p"]
    fps: float = 25.0
    colour: str = DEFAULT_COLOUR
    image: Path | None = None
    blurred: bool = False


def background(picture: Picture, seconds: float) -> ffmpeg.nodes.Stream:
    """Compose what is behind the words: a colour, or a still that :func:`prepared` made."""
    if picture.image is not None:
        return ffmpeg.input(f"file:{picture.image}", loop=1, framerate=picture.fps,
                            t=f"{seconds:.3f}", protocol_whitelist="file")  # fmt: skip
    wide, high = picture.size
    spec = f"color=c=0x{picture.colour[1:]}:s={wide}x{high}:r={picture.fps:g}:d={seconds:.3f}"
    return ffmpeg.input(spec, f="lavfi")


def render(
    target: Path,
    *,
    words: str,
    font: Font,
    sound: Path,
    seconds: float,
    picture: Picture,
    progress: Callable[[float], None],
    check: Callable[[], None],
) -> None:
    """Write an MP4 of words over a background.

    Parameters
    ----------
    target
        To write to, whatever is there.
    words
        From :func:`karaoke.making.screens.draw`; may be empty.
    font
        That they are written in.
    sound
        AAC, taken as it is.
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
    require_filter("ass")
    with tempfile.TemporaryDirectory(prefix="karaoke-") as folder:
        # Paths of no strange characters: in filters they would have to be escaped three times.
        script, fonts = Path(folder, "words.ass"), Path(folder, "fonts")
        script.write_text(words, encoding="utf-8")
        fonts.mkdir()
        shutil.copy(font.path, fonts / f"font{font.path.suffix.lower()}")
        if picture.image is not None:
            picture = prepared(picture, Path(folder, "background.png"))
        shown = background(picture, seconds)
        if words:
            shown = shown.filter("ass", str(script), fontsdir=str(fonts))
        heard = ffmpeg.input(f"file:{sound}", protocol_whitelist="file").audio
        out = ffmpeg.output(shown, heard, f"file:{target}", acodec="copy", f="mp4", v="level+info",
                            t=f"{seconds:.3f}", progress="pipe:1", nostats=None, map_metadata=1,
                            **ENCODING).overwrite_output()  # fmt: skip
        run(ffmpeg.get_args(out), target, progress, check)


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
