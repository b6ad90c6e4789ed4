"""Case numbers, log-in limit, producer token, WAV lengths: small things that must hold."""

from __future__ import annotations

import stat
import struct
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cases.accounts import producer_token
from cases.case_number import check_template
from cases.errors import CasesError
from cases.recordings import wav_seconds
from cases.settings import CasesSettings
from cases.web import login_limit
from cases.web.login_limit import LoginLimit

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


def test_the_default_case_number_is_accepted() -> None:
    check_template(CasesSettings().case_number)
    check_template("BJ-{date:%y%m%d}-{sequence}")


@pytest.mark.parametrize(
    "template",
    [
        "fixed",
        "{sequence}",
        "{date:%Y%m%d}",
        "{date:%m}{sequence:06d}",
        "{nothing}",
        "{date",
        "{date:%Y%m%d} {sequence}",
    ],
)
def test_a_case_number_that_could_come_twice_is_refused(template: str) -> None:
    with pytest.raises(CasesError) as error:
        check_template(template)
    assert error.value.code == "case-number-template"


def test_guessing_is_limited_by_user_and_address() -> None:
    limit = LoginLimit()
    for _ in range(login_limit.TRIES_PER_USER):
        assert limit.begin("Li", "10.0.0.1", NOW) == 0
    assert limit.begin("li", "10.0.0.1", NOW) == login_limit.WINDOW_SECONDS
    assert limit.begin("li", "10.0.0.2", NOW) == 0  # nobody can lock another one out from elsewhere
    assert limit.begin("wang", "10.0.0.1", NOW) == 0
    assert limit.begin("li", "10.0.0.1", NOW + timedelta(seconds=login_limit.WINDOW_SECONDS)) == 0


def test_guessing_many_users_is_limited_by_address() -> None:
    limit = LoginLimit()
    for number in range(login_limit.TRIES_PER_ADDRESS):
        assert limit.begin(f"user{number}", "10.0.0.1", NOW) == 0
    assert limit.begin("li", "10.0.0.1", NOW) > 0


def test_a_whole_office_behind_one_address_can_log_in() -> None:
    limit = LoginLimit()
    for number in range(login_limit.TRIES_PER_ADDRESS * 2):
        assert limit.begin(f"user{number}", "office", NOW) == 0
        limit.succeeded(f"user{number}", "office")
    assert not limit._tries


def test_a_right_password_clears_the_count() -> None:
    limit = LoginLimit()
    for _ in range(login_limit.TRIES_PER_USER):
        limit.begin("li", "a", NOW)
    limit.succeeded("li", "a")
    assert limit.begin("li", "a", NOW) == 0


def test_a_try_that_was_not_made_is_given_back_and_earlier_ones_stay() -> None:
    limit = LoginLimit()
    for _ in range(login_limit.TRIES_PER_USER - 1):
        limit.begin("li", "a", NOW)
    for _ in range(login_limit.TRIES_PER_ADDRESS):
        assert limit.begin("li", "a", NOW) == 0
        limit.not_tried("li", "a")
    assert limit.begin("li", "a", NOW) == 0
    assert limit.begin("li", "a", NOW) > 0


def test_the_limit_has_a_bounded_memory() -> None:
    limit = LoginLimit()
    for number in range(login_limit.MAX_KEYS):
        limit.begin(f"u{number}", f"a{number}", NOW)
    assert len(limit._tries) == login_limit.MAX_KEYS


def test_the_producer_token_is_made_once_and_private(tmp_path: Path) -> None:
    settings = CasesSettings()
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: producer_token(settings, tmp_path / "state"), range(16)))
    assert len(tokens) == 1
    path = tmp_path / "state" / "producer.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(tokens.pop()) >= 40
    assert [p.name for p in path.parent.iterdir()] == ["producer.token"]
    assert producer_token(CasesSettings(producer_token="given"), tmp_path) == "given"


def test_a_producer_token_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CasesError) as error:
        producer_token(CasesSettings(), tmp_path / "file")
    assert error.value.code == "producer-token"


def wav(path: Path, *, claims: int, samples: int = 8000, rate: int = 8000, junk: bytes = b"") -> Path:
    fmt = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + junk + b"data" + struct.pack("<I", claims) + b"\0\1" * samples
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


@pytest.mark.parametrize("claims", [16000, 0, 0xFFFFFFFF])
def test_the_length_of_a_recording_is_that_of_its_bytes(tmp_path: Path, claims: int) -> None:
    assert wav_seconds(wav(tmp_path / "a.wav", claims=claims)) == 1.0
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    assert wav_seconds(wav(tmp_path / "b.wav", claims=claims, junk=odd)) == 1.0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 1, 8000, 0, 2, 16) + b"data\0\0\0\0",
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 85, 1, 8000, 16000, 2, 16) + b"data\0\0\0\0",
        b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0abcd" + b"data\0\0\0\0",
        b"<html>" * 10,
        b"RIFF\0\0\0\0WAVE" + b"junk\xff\xff\xff\xff" * 3,
    ],
)
def test_what_is_no_wav_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(CasesError) as error:
        wav_seconds(path)
    assert (error.value.code, error.value.status) == ("not-a-wav", 415)
