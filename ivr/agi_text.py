"""AGI as text; pure: arguments quoted so that Asterisk reads them back byte for byte, replies read.

Asterisk cuts a command into words at blanks, with double quotes and backslashes (`parse_args` in res_agi.c).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ivr.errors import CallError

COMMAND_MAX_BYTES = 2000  # res_agi.c reads lines into AGI_BUF_LEN = 2048
VALUE_MAX_BYTES = 1000  # GET VARIABLE's reply is cut at 1,023 bytes: what cannot be read back is not set

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_REPLY = re.compile(r"^([1-9][0-9]{2})(?:[ -](.*))?$", re.DOTALL)
_RESULT = re.compile(r"^result=(\S*)(?:\s+(.*))?$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AgiReply:
    """One reply line: its code, `result=` word and what stands behind it (brackets removed)."""

    code: int
    result: str
    data: str = ""


def quote_argument(value: str, *, max_bytes: int = VALUE_MAX_BYTES) -> str:
    """One argument as Asterisk's parser reads it back, byte for byte. Control characters and long values are refused.

    A newline would start a second command, so a value out of a caller's mouth could give orders to Asterisk.
    """
    if _CONTROL.search(value):
        raise CallError("agi-value-refused", "an AGI argument holds a control character")
    try:
        size_bytes = len(value.encode())
    except UnicodeEncodeError as error:
        raise CallError("agi-value-refused", "an AGI argument is not valid Unicode") from error
    if size_bytes > max_bytes:
        raise CallError("agi-value-refused", f"an AGI argument has {size_bytes} bytes, at most {max_bytes} are safe")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_reply(line: str) -> AgiReply:
    """`200 result=1 (data)` → AgiReply. Anything else: CallError `agi-reply-malformed`."""
    matched = _REPLY.match(line)
    if not matched:
        raise CallError("agi-reply-malformed", f"not an AGI reply: {line[:60]!r}")
    code, rest = int(matched.group(1)), matched.group(2) or ""
    if code != 200:
        return AgiReply(code, "", rest)
    found = _RESULT.match(rest)
    if not found:
        raise CallError("agi-reply-malformed", f"an AGI reply without a result: {line[:60]!r}")
    data = (found.group(2) or "").strip()
    if data.startswith("("):
        data = data[1 : data.rindex(")")] if ")" in data else data[1:]
    return AgiReply(code, found.group(1), data)
