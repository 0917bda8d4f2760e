"""How many syllables a word has, by rule: a group of vowels each, and what languages do to that.

Good enough to share a word's time out among its parts; it is no hyphenation.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

VOWELS = frozenset("aeiouy")
#: Written without spaces, a syllable a character: kana, Chinese characters, Korean blocks.
ONE_EACH = re.compile(
    "[\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff]"
)
#: Belong to the character before: small kana, the sign of length, marks of repetition.
WITH_THE_LAST = frozenset("ぁぃぅぇぉゃゅょゎっァィゥェォャュョヮッー々゛゜")
#: Vowels that are spoken apart, by language; elsewhere a group of vowels is one syllable.
APART = {
    "en": re.compile(
        r"(?<![ctsg])i(?=a)|(?<![ctsg])(?<!ll)(?<![a-z]n)i(?=o(?!u))"  # pi-ano, but na-tion
        r"|i(?=u)|i(?=et)|(?<=\bsc)i(?=e)"  # ra-di-um, qui-et, sci-ence
        r"|e(?=o(?!u|p))|(?<=cr)e(?=at(?!u))|(?<=[aeiou][a-z])e(?=a\b)"  # vi-de-o, cre-ate, i-de-a
        r"|o(?=e[mt])|[eoy](?=ing)|y(?=one\b)"  # po-em, be-ing, any-one
        r"|(?<=[^aeiouqg])u(?=[ao])"  # ac-tu-al
    ),
    "es": re.compile(r"[aeoáéó](?=[aeoáéó])|[íú](?=[aeoáéó])|[aeoáéó](?=[íú])"),
    "de": re.compile(r"e(?=[ao])|i(?=[ao])|u(?=[ao])|a(?=o)|o(?=a)|(?<=[ea])u(?=e)|(?<=e)i(?=e)"),
    "fr": re.compile(r"é(?=[aeiouâêîôûè])|[aeiou](?=[ïëü])"),
}
#: An e within an English word that is not spoken: ev'ry, some-thing, lone-ly.
SILENT = re.compile(
    r"(?<=ev)e(?=ry)|(?<=[aeiou][a-z])e(?=ly\b|liness|ness|less|ful|thing|times?\b|body|where|one\b)"
)
APART["it"] = APART["pt"] = APART["es"]
#: Two letters that are one sound, which no boundary divides.
TOGETHER = ("ch", "sh", "th", "ph", "gh", "ck", "qu", "sch", "gn")
#: In Spanish these too.
DOUBLED = ("ll", "rr")
#: Consonants that begin a syllable together: a stop or f and a liquid.
ONSET = re.compile(r"(?:[bcdfgkpt][lr]|s[lmnw]|[a-z]h|qu|gn)$")
ENGLISH = ("", "en")


def split_syllables(word: str, language: str = "en") -> list[str]:
    """Split a word into its syllables.

    Parameters
    ----------
    word
        Without spaces; signs around it stay with its first and last syllable.
    language
        Two letters of ISO 639-1; empty is taken for English. Where it has no rules of its own,
        every group of vowels is a syllable.

    Returns
    -------
    list
        At least one part; joined they are the word.
    """
    if ONE_EACH.search(word):
        return by_character(word)
    spelled = bare(word)
    groups = nuclei(spelled, word.lower(), language)
    if len(groups) < 2:
        return [word]
    edges = [0]
    for (_, end), (start, _) in pairwise(groups):
        edges.append(boundary(spelled, end, start, language))
    return [word[a:b] for a, b in zip(edges, [*edges[1:], len(word)], strict=True)]


def count_syllables(word: str, language: str = "en") -> int:
    """Count the syllables of a word, as :func:`split_syllables` has them."""
    return len(split_syllables(word, language))


def by_character(word: str) -> list[str]:
    """Split at each character that is a syllable; others stay with the one before."""
    parts = [""]
    for character in word:
        starts = ONE_EACH.match(character) and character not in WITH_THE_LAST
        if starts and any(map(str.isalnum, parts[-1])):
            parts.append(character)
        else:
            parts[-1] += character
    return parts


def bare(word: str) -> str:
    """Give letters without accents, in lower case; as many characters as there were."""
    plain = (unicodedata.normalize("NFD", character)[0].lower() for character in word)
    return "".join(character if len(character) == 1 else character[0] for character in plain)


def nuclei(spelled: str, written: str, language: str) -> list[tuple[int, int]]:
    """Find the vowels of each syllable, as spans."""
    groups: list[tuple[int, int]] = []
    apart = APART.get(language or "en")
    for index, letter in enumerate(spelled):
        if letter not in VOWELS or is_consonant(spelled, index):
            continue
        if language in ENGLISH and SILENT.match(spelled, index):
            continue
        follows = bool(groups) and groups[-1][1] == index
        divided = apart is not None and apart.match(written, index - 1) if follows else None
        if follows and not divided:
            groups[-1] = groups[-1][0], index + 1
        else:
            groups.append((index, index + 1))
    if language in ENGLISH and len(groups) > 1 and is_silent(spelled, groups):
        groups.pop()
    if language == "fr" and len(groups) > 1 and re.search(r"(?:[^aeiouy]|[qg]u)es?\W*$", written):
        groups.pop()
    return groups


def is_consonant(spelled: str, index: int) -> bool:
    """Tell whether a letter that may be a vowel is none: yes, be-yond, queen."""
    before = spelled[index - 1] if index else ""
    if spelled[index] == "y":
        following = spelled[index + 1 : index + 2]
        return following in tuple("aeou") and (before in VOWELS or not before.isalpha())
    return spelled[index] == "u" and before == "q"


def is_silent(spelled: str, groups: list[tuple[int, int]]) -> bool:
    """Tell whether the last vowel of an English word is not spoken: love, loved, loves."""
    start, end = groups[-1]
    if spelled[start:end] != "e":
        return False
    ending = re.match(r"e(d|s|'?)[^a-z]*$", spelled[start:])
    if ending is None:
        return False
    before = spelled[:start]
    if ending[1] == "d":
        return not before.endswith(("t", "d"))
    if ending[1] == "s":
        return not before.endswith(("s", "z", "x", "c", "g", "ch", "sh")) and not consonant_l(
            before
        )
    return not consonant_l(before)


def consonant_l(before: str) -> bool:
    """Tell whether the l of a word on -le is a syllable: little, but not smile."""
    return len(before) > 1 and before[-1] == "l" and before[-2] not in "aeiouyrwl"


def boundary(spelled: str, end: int, start: int, language: str) -> int:
    """Find where a syllable ends, between the vowels that end and start at two places.

    One consonant goes on with the next syllable, of several all but the first do that can
    begin a word together.
    """
    between = spelled[end:start]
    letters = [i for i, c in enumerate(between) if c.isalpha()]
    if not letters:
        return start
    if len(letters) < len(between):  # a hyphen or an apostrophe divides
        inner = [i for i, c in enumerate(between) if not c.isalpha() and c != "'"]
        if inner:
            return end + inner[-1] + 1
    if len(between) == 1 or between in TOGETHER or (language == "es" and between in DOUBLED):
        return end
    size = 3 if between.endswith("sch") else 2 if ONSET.search(between) else 1
    return start - size
