"""Syllables by rule, in several languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karaoke.lyrics.syllables import count_syllables, split_syllables

COUNTS = {
    1: "a the love loved smile smiles fire moon house hmm ooh don't you're queen walked played "
       "eyes through thought point great I strength",
    2: "wanted needed little apples apple hello people being going hated tables money wishes "
       "quiet create science poem lion nation million away yellow beyond player only lonely "
       "something sometimes guitar every houses ba-by",
    3: "beautiful yesterday remember idea piano area radio video opinion tomorrow twenty-one "
       "anyone whatever loneliness violin media everything",
    4: "everybody education impossible",
}  # fmt: skip
SPLIT = {
    "en": "hel-lo yes-ter-day re-mem-ber lit-tle won-der-ful (ba-by,) mon-key",
    "de": "Lie-be Mäd-chen Stra-ße Feu-er Eu-ro-pa Wie-der-se-hen Frau-en tan-zen The-a-ter",
    "es": "co-ra-zón dí-a ma-ña-na po-e-ta gui-ta-rra ca-lle cie-lo ciu-dad pa-ís",
    "fr": "a-mour chan-son belle rêve mu-sique jour-née No-ël é-toile dan-ser mo-ment",
    "it": "a-mo-re cuo-re can-zo-ne po-e-ta",
}


@pytest.mark.parametrize("count", COUNTS)
def test_english(count: int) -> None:
    words = COUNTS[count].split()
    assert {word: count_syllables(word) for word in words} == dict.fromkeys(words, count)


@pytest.mark.parametrize("language", SPLIT)
def test_words_are_split(language: str) -> None:
    for written in SPLIT[language].split():
        wanted = written.split("-")
        assert split_syllables("".join(wanted), language) == wanted


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("\u6771\u4eac", ["\u6771", "\u4eac"]),
        ("\u304d\u3087\u3046", ["\u304d\u3087", "\u3046"]),
        ("\u30ab\u30e9\u30aa\u30b1\u30fc!", ["\u30ab", "\u30e9", "\u30aa", "\u30b1\u30fc!"]),
        ("\uc0ac\ub791\ud574", ["\uc0ac", "\ub791", "\ud574"]),
        ("\u300c\u6708\u4eae\u300d", ["\u300c\u6708", "\u4eae\u300d"]),
        ("\u043b\u044e\u0431\u043e\u0432\u044c", ["\u043b\u044e\u0431\u043e\u0432\u044c"]),
        ("123", ["123"]),
        ("", [""]),
    ],
)
def test_other_scripts(word: str, parts: list[str]) -> None:
    assert split_syllables(word) == parts


@given(st.text(max_size=30), st.sampled_from(["", "en", "de", "es", "fr", "xx"]))
def test_parts_join_to_the_word(word: str, language: str) -> None:
    parts = split_syllables(word, language)
    assert "".join(parts) == word and (all(parts) or word == "")
