"""Pure: the units that the acoustic model tells apart, and syllables as units.

Toneless initials and finals as the Baker (标贝) corpus writes them; a syllable without an initial is its final alone.
"""

from __future__ import annotations

from speech.syllables import split_syllable

SILENCE = "SIL"
INITIALS = tuple(
    ["b", "c", "ch", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "q", "r", "s", "sh", "t", "x", "z", "zh"]
)
FINALS = tuple(
    [
        "a",
        "ai",
        "an",
        "ang",
        "ao",
        "e",
        "ei",
        "en",
        "eng",
        "er",
        "i",
        "ia",
        "ian",
        "iang",
        "iao",
        "ie",
        "ii",
        "iii",
        "in",
        "ing",
        "iong",
        "iou",
        "o",
        "ong",
        "ou",
        "u",
        "ua",
        "uai",
        "uan",
        "uang",
        "uei",
        "uen",
        "ueng",
        "uo",
        "v",
        "van",
        "ve",
        "vn",
    ]
)
# The order is that of the net's outputs: never change it without training anew.
UNITS = (SILENCE, *INITIALS, *FINALS)
UNIT_INDEX = {unit: index for index, unit in enumerate(UNITS)}
# A place in a clip's units where a speaker may pause.
PAUSE = "_"


def syllable_units(pinyin: str) -> tuple[str, ...] | None:
    """`zhong1` or `zhong` -> ("zh", "ong"), `an4` -> ("an",); None for what is no Mandarin syllable."""
    plain = pinyin.rstrip("012345").replace("ü", "v")
    if plain in ("eh", "ê"):
        plain = "ei"
    initial, final = split_syllable(plain) if plain else ("", "")
    if final not in UNIT_INDEX or (initial and initial not in UNIT_INDEX):
        return None
    return (initial, final) if initial else (final,)
