"""Tags of a song, in one form for all containers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

#: Picture type of a front cover in ID3 and FLAC.
FRONT_COVER = 3
#: Limit for all pictures: FLAC holds 16 MiB, and Vorbis comments hold them as text.
LARGEST_PICTURES = 12_000_000
#: Limits in bytes for all text and for one value; FLAC holds 16 MiB.
LARGEST_TEXT = 8_000_000
LONGEST_VALUE = 1_000_000
#: Most bytes of tags that are read from a file.
LARGEST_TAG = 1 << 26

SIGNATURES = (
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"BM", "image/bmp"),
    (rb"RIFF....WEBP", "image/webp"),
    (rb"II\*\0|MM\0\*", "image/tiff"),
    (rb"....ftypavi[fs]", "image/avif"),
    (rb"....ftyp(?:hei[cx]|mif1|hevc)", "image/heic"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "image/jxl"),
)
#: Fields about the song's sound and file, which do not apply to its stems, and chapters.
OF_THE_OLD_SOUND = re.compile(
    r"replaygain.*|r128.*|acoustid.*|accuraterip.*|ctdb.*|musicippuid|musicmagicfingerprint"
    r"|itunsmpb|itunnorm|itunpgap|itunescddb.*|encoder|encodersettings|encoderoptions|encodedby"
    r"|encoding|encodingtool|encodingparams|tool|duration|length|tlen"
    r"|waveformatextensiblechannelmask|chapter\d{3}(name|url)?"
)
#: Other names of fields, mapped to the names used here.
ALIASES = {
    "album artist": "albumartist",
    "album_artist": "albumartist",
    "track": "tracknumber",
    "totaltracks": "tracktotal",
    "disc": "discnumber",
    "totaldiscs": "disctotal",
    "year": "date",
    "key": "initialkey",
    "unsyncedlyrics": "lyrics",
    "unsynced lyrics": "lyrics",
    "publisher": "label",
    "organization": "label",
    "album-sort": "albumsort",
    "artist-sort": "artistsort",
    "title-sort": "titlesort",
    "sort_album": "albumsort",
    "sort_album_artist": "albumartistsort",
    "sort_artist": "artistsort",
    "sort_composer": "composersort",
    "sort_name": "titlesort",
    "tbpm": "bpm",
    "tkey": "initialkey",
    "tcmp": "compilation",
}
#: Names from MusicBrainz and others, as spelt in ID3's TXXX and in MP4.
SPELLINGS = {
    "musicbrainz_albumid": "MusicBrainz Album Id",
    "musicbrainz_albumartistid": "MusicBrainz Album Artist Id",
    "musicbrainz_artistid": "MusicBrainz Artist Id",
    "musicbrainz_discid": "MusicBrainz Disc Id",
    "musicbrainz_originalalbumid": "MusicBrainz Original Album Id",
    "musicbrainz_originalartistid": "MusicBrainz Original Artist Id",
    "musicbrainz_releasegroupid": "MusicBrainz Release Group Id",
    "musicbrainz_releasetrackid": "MusicBrainz Release Track Id",
    "musicbrainz_trackid": "MusicBrainz Track Id",
    "musicbrainz_workid": "MusicBrainz Work Id",
    "releasecountry": "MusicBrainz Album Release Country",
    "releasestatus": "MusicBrainz Album Status",
    "releasetype": "MusicBrainz Album Type",
}
NAMES_BY_SPELLING = {spelling.lower(): name for name, spelling in SPELLINGS.items()}
#: Fields that are kept first when there is no room for all.
MOST_WANTED = ("title", "artist", "album", "albumartist", "tracknumber", "date", "genre")


class MalformedError(ValueError):
    """The data is malformed."""


class Cursor:
    """Takes bytes one after another; running out of them is an error."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, length: int) -> bytes:
        """Take some bytes."""
        taken = self.data[self.position : self.position + length]
        if len(taken) != length:
            raise MalformedError(f"{length} bytes wanted, {len(taken)} there")
        self.position += length
        return taken

    def number(self, length: int = 4, order: str = "big") -> int:
        """Take an unsigned integer."""
        return int.from_bytes(self.take(length), "little" if order == "little" else "big")

    def rest(self) -> bytes:
        """Take all remaining bytes."""
        return self.take(max(0, len(self.data) - self.position))


@dataclass(frozen=True)
class Picture:
    """A picture in a file.

    Parameters
    ----------
    data
        Content of the picture file.
    kind
        Picture type as numbered by ID3 and FLAC: 3 is the front cover, 4 the back.
    description
        Description in words.
    """

    data: bytes
    kind: int = FRONT_COVER
    description: str = ""

    @property
    def mime(self) -> str:
        """Format according to the first bytes, whatever the file claims; empty if unknown."""
        for signature, mime in SIGNATURES:
            if re.match(signature, self.data, re.DOTALL):
                return mime
        return ""


@dataclass(frozen=True)
class Tags:
    """Tags of a song.

    Parameters
    ----------
    fields
        Values by name. Names are those of Vorbis comments; common ones (``title``, ``artist``,
        ``tracknumber``, ...) are in lower case, others as they were spelt.
    pictures
        Pictures, front covers first.
    frames
        Binary ID3 frames, which only ID3 can hold, by identifier.
    language
        ID3's language of lyrics and comments; empty if unknown.
    left_out
        Names of what could not be read from the file.
    """

    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    frames: tuple[tuple[str, bytes], ...] = ()
    language: str = ""
    left_out: tuple[str, ...] = ()

    def for_stem(self, stem: str) -> Tags:
        """Add the stem's name to the title, if there is one."""
        if "title" not in self.fields:
            return self
        titles = tuple(f"{title} ({stem.capitalize()})" for title in self.fields["title"])
        return replace(self, fields={**self.fields, "title": titles})

    def __bool__(self) -> bool:
        """Return whether there is anything to write."""
        return bool(self.fields or self.pictures or self.frames)

    def common_fields(self) -> dict[str, list[str]]:
        """Return the fields with aliases merged, and totals split from numbers (``3/12``)."""
        found: dict[str, list[str]] = {}
        for name, values in self.fields.items():
            found.setdefault(ALIASES.get(name.lower(), name), []).extend(values)
        for number, total in (("tracknumber", "tracktotal"), ("discnumber", "disctotal")):
            first, slash, second = found.get(number, [""])[0].partition("/")
            if slash and first.strip():
                found[number] = [first.strip(), *found[number][1:]]
                if second.strip():
                    found.setdefault(total, [second.strip()])
        return found


def numbered(fields: dict[str, list[str]], number: str, total: str) -> str:
    """Remove a number and its total from fields and join them: ``3/12``."""
    first, all_of_them = fields.pop(number, [""])[0], fields.pop(total, [""])[0]
    return f"{first}/{all_of_them}" if all_of_them else first


class Found:
    """Collects tags as they are read; what was found before an error counts."""

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}
        self.pictures: list[Picture] = []
        self.frames: list[tuple[str, bytes]] = []
        self.language = ""
        self.left_out: list[str] = []
        self._spelling: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        """Return whether a field was found."""
        return name in self._spelling

    def add(self, name: str, value: str) -> None:
        """Add a value to a field, unless it is empty or only applies to the old sound."""
        name, value = name.replace("\0", "").strip(), value.replace("\0", "")
        if not name or not value.strip():
            return
        if OF_THE_OLD_SOUND.fullmatch(re.sub(r"[ _:-]", "", name.lower())):
            return
        name = NAMES_BY_SPELLING.get(name.lower().replace("_", " "), name)
        spelling = self._spelling.setdefault(
            name.lower(), name.lower() if name.lower() in USUAL else name
        )
        self.fields.setdefault(spelling, []).append(value)

    def forget(self, name: str) -> None:
        """Drop a field if it was found."""
        self.fields.pop(self._spelling.pop(name.lower(), ""), None)

    def add_all(self, name: str, values: Iterable[str]) -> None:
        """Add several values."""
        for value in values:
            self.add(name, value)

    def add_numbers(self, value: str, number: str, total: str) -> None:
        """Add a number and its total, written as ``3/12``."""
        first, _, second = value.partition("/")
        self.add(number, first.strip())
        self.add(total, second.strip())

    def add_picture(self, data: bytes, kind: int, description: str = "") -> None:
        """Add a picture if it is one."""
        picture = Picture(data, kind if 0 <= kind <= 20 else 0, description.replace("\0", ""))
        if picture.mime:
            self.pictures.append(picture)
        elif data:
            self.left_out.append("a picture of an unknown kind")

    def tags(self) -> Tags:
        """Return what was found."""
        return Tags(
            fields={name: tuple(values) for name, values in self.fields.items()},
            pictures=tuple(sorted(self.pictures, key=lambda p: p.kind != FRONT_COVER)),
            frames=tuple(self.frames),
            language=self.language,
            left_out=tuple(dict.fromkeys(self.left_out)),
        )


#: Names that are written in lower case.
USUAL = frozenset(
    """
    title artist album albumartist artists tracknumber tracktotal discnumber disctotal date
    originaldate releasedate genre comment composer conductor lyricist remixer arranger producer
    performer lyrics syncedlyrics bpm initialkey isrc label copyright grouping subtitle
    discsubtitle mood media language compilation albumsort artistsort titlesort albumartistsort
    composersort originalartist originalalbum movementname movement movementtotal work website
    license description barcode catalognumber asin
    """.split()  # noqa: SIM905 (a table, not a sentence)
) | {*ALIASES, *ALIASES.values(), *SPELLINGS}
