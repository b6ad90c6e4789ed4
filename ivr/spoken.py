"""Digits, numbers and times of day as pieces of recorded sound. Pure."""

from __future__ import annotations

from datetime import time

from ivr.actions import Piece

GROUP_DIGITS = 4
GROUP_PAUSE_MS = 350
_ONES = "零一二三四五六七八九"
TENS = (20, 30, 40, 50)


def digit_pieces(digits: str) -> tuple[Piece, ...]:
    """A number as it is read out on a telephone, digit by digit (1 is 幺), with a breath after every four.

    Anything that is no decimal digit is left out.
    """
    pieces: list[Piece] = []
    said = [digit for digit in digits if digit in "0123456789"]
    for place, digit in enumerate(said):
        if place and place % GROUP_DIGITS == 0:
            pieces.append(pause_piece(GROUP_PAUSE_MS))
        pieces.append(Piece(digit, f"digit_{digit}"))
    return tuple(pieces)


def time_pieces(at: time) -> tuple[Piece, ...]:
    """A time of day by the 24-hour clock: 22:05 is 二十二点零五分, 2:00 is 两点整."""
    hour = (Piece("两", "num_liang"),) if at.hour == 2 else _number_pieces(at.hour)
    if at.minute == 0:
        return (*hour, Piece("点", "time_hour"), Piece("整", "time_sharp"))
    zero = (Piece("零", "digit_0"),) if at.minute < 10 else ()
    return (*hour, Piece("点", "time_hour"), *zero, *_number_pieces(at.minute), Piece("分", "time_minute"))


def pause_piece(milliseconds: int) -> Piece:
    """Silence, made by the prompt store and not recorded."""
    return Piece("", f"silence_{milliseconds}")


def _number_pieces(number: int) -> tuple[Piece, ...]:
    """0 to 59."""
    tens, ones = divmod(number, 10)
    if tens == 0:
        return (_one(ones),)
    head = (Piece("十", "num_10"),) if tens == 1 else (Piece(f"{_ONES[tens]}十", f"num_{tens}0"),)
    return head if ones == 0 else (*head, _one(ones))


def _one(number: int) -> Piece:
    """0 to 9 within a number: only 1 differs from the digit of the same name (一, not 幺)."""
    return Piece(_ONES[number], "num_1" if number == 1 else f"digit_{number}")


SPOKEN_TEXTS = (
    *(f"digit_{digit}" for digit in range(10)),
    *(f"num_{number}" for number in (1, 10, *TENS)),
    "num_liang",
    "time_hour",
    "time_minute",
    "time_sharp",
)
"""The texts that `digit_pieces` and `time_pieces` need to have been recorded."""
