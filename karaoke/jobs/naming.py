"""Names of a song's output files, from a template that users may choose."""

from __future__ import annotations

import hashlib
import os
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from karaoke.errors import UsageError

DEFAULT_TEMPLATE = "{parent}/{title}/{stem}.{ext}"
VARIABLES = ("parent", "folder", "title", "source_ext", "stem", "ext", "model")
#: Longest file name in bytes that every common file system allows.
LONGEST_NAME = 255
MANIFEST_SUFFIX = ".karaoke.json"
WINDOWS = os.name == "nt"
#: Characters that Windows forbids in names, or gives a special meaning.
FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]')
DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{port}{digit}" for port in ("COM", "LPT") for digit in "123456789\u00b9\u00b2\u00b3"]
)
#: Characters that separate parts of a name, and are stripped from its ends.
SEPARATORS = " .,-_()[]"


@dataclass(frozen=True)
class Song:
    """A file to split.

    Parameters
    ----------
    path
        The file.
    parent
        Its folder within the folder that the user named; empty if the user named the file.
    named
        What the user called it if that is not a path: ``-``, or a URL.
    from_folder
        Whether it was found in a folder that the user named.
    """

    path: Path
    parent: PurePath = field(default_factory=PurePath)
    named: str = ""
    from_folder: bool = False

    @property
    def title(self) -> str:
        """Name without the extension."""
        # "..mp3" has the stem ".", which cannot name a folder.
        return self.path.stem if self.path.stem.strip(".") else self.path.name

    @property
    def extension(self) -> str:
        """Extension without the dot."""
        return self.path.suffix[1:]

    @property
    def folder(self) -> PurePath:
        """Folder as the user gave it, made relative: without root, and with ``_`` for ``..``."""
        if self.named:
            return PurePath()
        given = self.path.parent
        return PurePath(*("_" if p == ".." else p for p in given.parts if p != given.anchor))


def check_template(template: str, stems: Sequence[str], *, windows: bool = WINDOWS) -> None:
    """Refuse a template that cannot name the stems of a song, trying it on a sample.

    Parameters
    ----------
    template
        The template as the user gave it.
    stems
        Stems to be written.
    windows
        Whether Windows' rules for names apply.

    Raises
    ------
    UsageError
        It is malformed, has unknown variables, leads out of the output folder, gives two stems
        the same name, or gives names that no file can have.
    """
    used = variables_of(template)
    if len(stems) > 1 and "stem" not in used:
        raise UsageError("--name: all stems would have one name", hint="Add {stem}.")
    if not used & {"title", "parent", "folder"}:
        raise UsageError("--name: all songs would have one name", hint="Add {title}.")
    parts = split_template(template, windows)
    # On Windows, "C:x" is a path on another drive.
    outside = parts[0] == "" or ".." in parts or (windows and re.match("[A-Za-z]:", template))
    if outside or parts[-1] in ("", "."):
        raise UsageError(
            f'--name "{template}": must name files below the output folder',
            hint='Do not begin or end it with a slash, and do not use "..".',
        )
    if re.search(r"[\x00-\x1f]", template):
        raise UsageError(f'--name "{template}": has control characters', hint="Remove them.")
    for part in parts if windows else ():
        if part not in (".", "") and make_safe(part, windows=True) != part:
            raise UsageError(
                f"--name: Windows does not allow a file called {part}",
                hint='Do not use <>:"|?*, a final dot or space, or CON, NUL and the like.',
            )
    sample = Song(Path("song.mp3"))
    for stem in stems:
        path = name_output(template, sample, stem, "flac", "model", windows=windows)
        if not path.parts:
            raise UsageError("--name: would be empty for some songs", hint="Add {title}.")
        if too_long(path):
            raise UsageError(
                f"--name: a file name of more than {LONGEST_NAME} bytes", hint="Shorten it."
            )


def variables_of(template: str) -> set[str]:
    """List the variables of a template.

    Raises
    ------
    UsageError
        It has other variables than :data:`VARIABLES`, or something else in braces.
    """
    try:
        fields = [entry[1:] for entry in string.Formatter().parse(template) if entry[1] is not None]
    except ValueError as error:
        raise UsageError(
            f'--name "{template}": unbalanced braces', hint="Write {{ for a literal brace."
        ) from error
    for name, form, conversion in fields:
        if name not in VARIABLES:
            known = ", ".join(f"{{{name}}}" for name in VARIABLES)
            raise UsageError(f"--name: unknown {{{name}}}", hint=f"Variables: {known}.")
        if form or conversion:
            raise UsageError(f"--name: {{{name}}} takes no format", hint=f"Write {{{name}}}.")
    return {str(name) for name, _, _ in fields}


def split_template(template: str, windows: bool) -> list[str]:
    """Split a template at slashes, and on Windows at backslashes too."""
    return (template.replace("\\", "/") if windows else template).split("/")


def name_output(
    template: str,
    song: Song,
    stem: str,
    extension: str,
    model: str,
    *,
    windows: bool = WINDOWS,
) -> PurePath:
    """Fill in a template; the result is relative to the output folder, and stays below it."""
    values = values_for(song, model, stem=stem, ext=extension)
    return fill_all(split_template(template, windows), song, values, windows)


def name_manifest(
    template: str, song: Song, extension: str, model: str, *, windows: bool = WINDOWS
) -> PurePath:
    """Name the manifest of a song's stems, in the deepest folder that contains them all.

    Its name is what the stems' names have in common, so that it is unique to the song. It depends
    neither on which stems are wanted nor on their format, so that what is written beside them
    later goes into the same manifest.
    """
    parts = split_template(template, windows)
    shared = next((n for n, part in enumerate(parts) if "{stem}" in part), len(parts) - 1)
    values = values_for(song, model, stem="", ext=extension)
    rest = [part.replace("{stem}", "").replace(".{ext}", "") for part in parts[shared:]]
    rest = [part.replace("{ext}", "").strip(SEPARATORS) for part in rest]
    labels = fill_all([part for part in rest if part], song, values, windows, shorten=False).parts
    label = labels[-1] if labels else song.title
    name = f".{label}{MANIFEST_SUFFIX}"
    if len(labels) > 1 or len(os.fsencode(name)) > LONGEST_NAME:
        # The last part alone, or its beginning, may also be another song's.
        mark = mark_of("/".join(labels or (label,)))
        while len(os.fsencode(name := f".{label}-{mark}{MANIFEST_SUFFIX}")) > LONGEST_NAME:
            label = label[:-1]
    return fill_all(parts[:shared], song, values, windows) / make_safe(name, windows)


def values_for(song: Song, model: str, **others: str) -> dict[str, str]:
    """Return the values of variables within a name, where no slash is possible."""
    values = {
        "parent": "-".join(song.parent.parts),
        "folder": "-".join(song.folder.parts),
        "title": song.title,
        "source_ext": song.extension,
        "model": model,
        **others,
    }
    return {name: re.sub(r"[/\x00]", "_", value) for name, value in values.items()}


def fill_all(
    parts: Sequence[str],
    song: Song,
    values: Mapping[str, str],
    windows: bool,
    *,
    shorten: bool = True,
) -> PurePath:
    """Fill in the parts of a template; a folder variable alone in a part becomes folders."""
    names: list[str] = []
    for part in parts:
        if part in ("{parent}", "{folder}"):
            folder = song.parent if part == "{parent}" else song.folder
            names += [make_safe(name, windows) for name in folder.parts]
        elif part != ".":
            names.append(fill(part, values, windows, shorten))
    return PurePath(*names)


def fill(part: str, values: Mapping[str, str], windows: bool, shorten: bool) -> str:
    """Fill in one name, cutting a title that is too long for file systems and marking it."""
    title = cut = values["title"]
    while True:
        name = make_safe(part.format(**{**values, "title": title}), windows)
        fits = len(os.fsencode(name)) <= LONGEST_NAME
        if fits or not shorten or not cut or "{title}" not in part:
            return name
        cut = cut[:-1]
        title = f"{cut}-{mark_of(values['title'])}"


def mark_of(text: str) -> str:
    """Return eight digits that distinguish a name from others with the same beginning."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]


def make_safe(name: str, windows: bool) -> str:
    """Change a name that would mean another folder or, on Windows, a device or be invalid."""
    if name in (".", ".."):
        return "_" * len(name)
    if windows:
        name = FORBIDDEN.sub("_", name)
        name = re.sub(r"[. ]+$", lambda end: "_" * len(end[0]), name)
        if name.partition(".")[0].rstrip().upper() in DEVICES:
            name = f"_{name}"
    return name


def too_long(path: PurePath) -> bool:
    """Return whether any part of a path is longer than file systems allow."""
    return any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts)
