"""What goes out to Asterisk and what comes back, as text: escaping, refusal, replies."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.agi_text import COMMAND_MAX_BYTES, VALUE_MAX_BYTES, AgiReply, parse_reply, quote_argument
from ivr.errors import CallError

CONTROL = [chr(n) for n in (*range(32), 127, 0x85, 0x2028, 0x2029)]
safe_text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="".join(CONTROL)), max_size=200)


def split_arguments(line: str) -> list[str]:
    """Asterisk's own cutting of a command line (`parse_args` in res_agi.c)."""
    words: list[list[str]] = []
    quoted = escaped = False
    blank = True
    for char in line:
        if char == '"' and not escaped:
            quoted = not quoted
            if quoted and blank:
                words.append([])
                blank = False
        elif char in " \t" and not quoted and not escaped:
            blank = True
        elif char == "\\" and not escaped:
            escaped = True
        else:
            if blank:
                words.append([])
                blank = False
            words[-1].append(char)
            escaped = False
    return ["".join(word) for word in words]


@given(st.lists(safe_text, max_size=6))
def test_asterisk_reads_back_what_was_quoted(values: list[str]) -> None:
    line = " ".join(["SET VARIABLE", *(quote_argument(value) for value in values)])
    assert split_arguments(line) == ["SET", "VARIABLE", *values]
    assert "\n" not in line


@given(st.text(max_size=300))
def test_any_text_is_quoted_faithfully_or_refused(value: str) -> None:
    if any(char in CONTROL or 0xD800 <= ord(char) < 0xE000 for char in value):
        with pytest.raises(CallError, match="agi-value-refused"):
            quote_argument(value)
    else:
        assert split_arguments(quote_argument(value)) == [value]


@pytest.mark.parametrize("control", CONTROL)
def test_a_control_character_cannot_start_a_second_command(control: str) -> None:
    with pytest.raises(CallError, match="agi-value-refused"):
        quote_argument(f'x{control}EXEC System "reboot"')


def test_a_value_is_measured_in_bytes() -> None:
    assert quote_argument("字" * (VALUE_MAX_BYTES // 3))
    with pytest.raises(CallError, match="agi-value-refused"):
        quote_argument("字" * (VALUE_MAX_BYTES // 3 + 1))
    assert COMMAND_MAX_BYTES < 2047  # res_agi.c would take the rest of a longer line for another command


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(CallError, match="agi-value-refused"):
        quote_argument("\ud800")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('EXEC "Playback" "a b"', ["EXEC", "Playback", "a b"]),
        ("a\\ b", ["a b"]),
        ('say "she said \\"hi\\""', ["say", 'she said "hi"']),
        ('x "" y', ["x", "", "y"]),
        ("  a   b\t", ["a", "b"]),
        ('pre"fix ed"', ["prefix ed"]),
    ],
)
def test_arguments_are_cut_as_asterisk_does(line: str, words: list[str]) -> None:
    assert split_arguments(line) == words


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("200 result=0", AgiReply(200, "0")),
        ("200 result=-1", AgiReply(200, "-1")),
        ("200 result=1 (hello (world))", AgiReply(200, "1", "hello (world)")),
        ("200 result=1 ()", AgiReply(200, "1", "")),
        ("200 result=1 (cut in the mid", AgiReply(200, "1", "cut in the mid")),
        ("200 result=0 endpos=8000", AgiReply(200, "0", "endpos=8000")),
        ("200 result=", AgiReply(200, "")),
        ("510 Invalid or unknown command", AgiReply(510, "", "Invalid or unknown command")),
        ("511 Command Not Permitted on a dead channel", AgiReply(511, "", "Command Not Permitted on a dead channel")),
    ],
)
def test_replies_are_read(line: str, reply: AgiReply) -> None:
    assert parse_reply(line) == reply


@pytest.mark.parametrize("line", ["", "HANGUP", "20 result=0", "200", "200 results=0", "result=0", "２００ result=0"])
def test_what_is_no_reply_is_refused(line: str) -> None:
    with pytest.raises(CallError, match="agi-reply-malformed"):
        parse_reply(line)


@given(st.from_regex(r"[0-9]{0,4}[ -](result=)?.*", fullmatch=True) | st.text(max_size=200))
def test_a_line_is_a_reply_or_refused(line: str) -> None:
    with contextlib.suppress(CallError):
        reply = parse_reply(line)
        assert line.startswith(str(reply.code))
        assert 100 <= reply.code <= 999
