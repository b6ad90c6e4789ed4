"""Settings, passwords and the files made of them."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
from pydantic import ValidationError

from hotline.asterisk import (
    CHECKOUT,
    AsteriskError,
    AsteriskSecrets,
    AsteriskSettings,
    Surroundings,
    load_or_make_secrets,
    on_free_ports,
)
from hotline.asterisk_site import site_files

SECRETS = AsteriskSecrets({"1001": "a" * 12, "1002": "b" * 12}, "c" * 12)
AROUND = Surroundings(Path("/srv/spool"), Path("/srv/prompts"), "127.0.0.1", 4573)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sip_host": "hotline.example"},
        {"sip_host": "127.0.0.1\nbind = 0.0.0.0"},
        {"sip_host": "0.0.0.0"},
        {"media_address": "here"},
        {"sip_port": 0},
        {"sip_port": 70000},
        {"rtp_first_port": 20000, "rtp_last_port": 20005},
        {"trunk_addresses": ["10.0.0.0/33"]},
        {"trunk_addresses": ["carrier.example"]},
        {"called_numbers": ["12345; exten"]},
        {"called_numbers": ["_X."]},
        {"called_numbers": [""]},
        {"operators": ["1003"]},
        {"queue": "humans]"},
        {"queue_seconds": 0},
        {"no_such": 1},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AsteriskSettings.model_validate(wrong)


def test_by_default_nothing_is_open() -> None:
    settings = AsteriskSettings()
    assert settings.sip_host == "127.0.0.1"
    assert settings.trunk_addresses == ("127.0.0.1",)
    assert not settings.allow_anonymous
    text = site_files(settings, SECRETS, AROUND)["site_pjsip.conf"]
    assert "bind = 127.0.0.1:5160" in text
    assert "0.0.0.0" not in text
    assert "[anonymous]" not in text


def test_a_real_trunk() -> None:
    settings = AsteriskSettings(
        sip_host="0.0.0.0",
        sip_port=5060,
        media_address="203.0.113.5",
        trunk_addresses=("198.51.100.0/24", "2001:db8::7"),
        called_numbers=("12345", "+861012345"),
    )
    assert settings.local_address == "127.0.0.1"
    files = site_files(settings, SECRETS, AROUND)
    lines = files["site_pjsip.conf"].splitlines()
    assert "bind = 0.0.0.0:5060" in lines
    assert "external_media_address = 203.0.113.5" in lines
    assert lines.count("media_address = 203.0.113.5") == 3  # the trunk and two phones
    assert [line for line in lines if line.startswith("match")] == ["match = 198.51.100.0/24", "match = 2001:db8::7"]
    assert "exten = +861012345,1,Goto(hotline,12345,1)" in files["site_extensions.conf"]


def test_ipv6() -> None:
    text = site_files(AsteriskSettings(sip_host="::1"), SECRETS, AROUND)["site_pjsip.conf"]
    assert "bind = [::1]:5160" in text
    assert "media_address = ::1" in text


def test_no_trunk_at_all() -> None:
    assert "[trunk]" not in site_files(AsteriskSettings(trunk_addresses=()), SECRETS, AROUND)["site_pjsip.conf"]


@pytest.mark.parametrize("name", ["a;b", "a,b", "a&b", "a${x}", "a\nb", "a]b", 'a"b', "a\\b"])
def test_a_path_that_the_configuration_cannot_hold(name: str) -> None:
    for around in (
        Surroundings(Path("/srv") / name, Path("/srv/prompts"), "127.0.0.1", 1),
        Surroundings(Path("/srv/spool"), Path("/srv") / name, "127.0.0.1", 1),
    ):
        with pytest.raises(AsteriskError) as caught:
            site_files(AsteriskSettings(), SECRETS, around)
        assert caught.value.code == "asterisk-path-unsafe"


def test_passwords_are_made_once_and_differ_everywhere(tmp_path: Path) -> None:
    first = load_or_make_secrets(tmp_path / "a")
    assert load_or_make_secrets(tmp_path / "a") == first
    other = load_or_make_secrets(tmp_path / "b")
    values = [first.ami, *first.phones.values(), other.ami, *other.phones.values()]
    assert len(set(values)) == 6
    assert min(len(value) for value in values) >= 20
    path = tmp_path / "a" / "asterisk" / "secrets.toml"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        'ami = "x"\n[phones]\n1001 = "abcdefgh"\n1002 = "abcdefgh"\n',
        'ami = "abcdefgh"\n[phones]\n1001 = "abcdefgh"\n',
        'ami = "abcdefgh"\n[phones]\n1001 = "abcdefgh\\npermit=0.0.0.0"\n1002 = "abcdefgh"\n',
        'ami = "abcdefgh"\nphones = 1\n',
    ],
)
def test_a_password_file_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    path = tmp_path / "asterisk" / "secrets.toml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(AsteriskError) as caught:
        load_or_make_secrets(tmp_path)
    assert caught.value.code == "asterisk-secrets-unreadable"
    assert str(path) in caught.value.message


def test_free_ports_differ() -> None:
    one, two = on_free_ports(), on_free_ports(queue_seconds=5)
    assert one.sip_port != two.sip_port
    assert two.queue_seconds == 5
    assert one.rtp_last_port - one.rtp_first_port == 199


@pytest.mark.parametrize("name", ["fallback_apology", "queue_busy", "leave_message", "goodbye", "human_wait"])
def test_the_fallback_prompts_are_there_as_asterisk_plays_them(name: str) -> None:
    extensions = (CHECKOUT / "asterisk_conf" / "extensions.conf").read_text()
    queues = site_files(AsteriskSettings(), SECRETS, AROUND)["site_queues.conf"]
    assert f"/zh/{name}" in extensions + queues
    with wave.open(str(CHECKOUT / "prompts" / "zh" / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.getnframes() > 4000


def test_the_dialplan_uses_nothing_of_the_caller_unfiltered() -> None:
    lines = (CHECKOUT / "asterisk_conf" / "extensions.conf").read_text().splitlines()
    uses = [line for line in lines if "${CALLERID" in line or "${CHANNEL(" in line or "${EXTEN" in line]
    assert uses
    assert [line for line in uses if "${FILTER(" not in line] == []
