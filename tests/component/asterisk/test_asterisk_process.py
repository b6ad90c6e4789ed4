"""Asterisk as a child: it starts without an ERROR line, says why when it does not, and ends alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hotline.asterisk import (
    CHECKOUT,
    CONF_DIR,
    AsteriskError,
    AsteriskServer,
    Surroundings,
    find_asterisk,
    load_or_make_secrets,
    on_free_ports,
)

WANTED_MODULES = {
    line.partition("=")[2].strip()
    for line in (CONF_DIR / "modules.conf").read_text().splitlines()
    if line.startswith(("load =", "require ="))
}


def make_server(state: Path, prompts: Path, conf_dir: Path = CONF_DIR, **settings: object) -> AsteriskServer:
    around = Surroundings(state / "spool", prompts, "127.0.0.1", 9)
    return AsteriskServer(on_free_ports(**settings), state_dir=state, around=around, conf_dir=conf_dir)


def sockets_of(pid: int) -> dict[str, str]:
    """inode → "tcp 0100007F:1234" of the sockets that take connections (tcp) or datagrams (udp)."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[9] in inodes and (table.startswith("udp") or words[3] == "0A"):
                found[words[9]] = f"{table} {words[1]}"
    return found


def test_starts_clean(asterisk: AsteriskServer) -> None:
    assert asterisk.is_running()
    assert asterisk.error_lines() == []
    assert "fully booted" in asterisk.rx("core waitfullybooted")


def test_every_module_runs(asterisk: AsteriskServer) -> None:
    running = {
        line.split()[0] for line in asterisk.rx("module show").splitlines() if " Running " in line and ".so" in line
    }
    assert len(WANTED_MODULES) > 40
    assert running == WANTED_MODULES


def test_takes_calls_on_loopback_only(asterisk: AsteriskServer) -> None:
    assert asterisk.pid is not None
    found = sockets_of(asterisk.pid).values()
    sip, ami = asterisk.settings.sip_port, asterisk.settings.ami_port
    assert sorted(name for name in found if name.startswith("tcp")) == [f"tcp 0100007F:{ami:04X}"]
    assert f"udp 0100007F:{sip:04X}" in found
    # The rest of UDP: PJSIP's two sockets for asking name servers, on ports of the kernel's choice; they serve nobody.
    assert len([name for name in found if name.startswith("udp") and "0100007F" not in name]) <= 2


def test_transport_trunk_and_phones(asterisk: AsteriskServer) -> None:
    endpoints = asterisk.rx("pjsip show endpoints")
    for name in ("1001", "1002", "trunk"):
        assert f" Endpoint:  {name} " in endpoints
    assert "anonymous" not in endpoints


def test_the_queue_has_its_operator(asterisk: AsteriskServer) -> None:
    shown = asterisk.rx("queue show humans")
    assert "PJSIP/1001" in shown
    assert "PJSIP/1002" not in shown


def test_two_beside_each_other(tmp_path: Path, tone_prompts: Path, asterisk: AsteriskServer) -> None:
    with make_server(tmp_path, tone_prompts) as other:
        assert other.pid != asterisk.pid
        assert other.rx("core show version").startswith("Asterisk ")
        assert asterisk.is_running()
    assert not other.is_running()
    assert asterisk.is_running()


def test_stops_and_starts_again(tmp_path: Path, tone_prompts: Path) -> None:
    server = make_server(tmp_path, tone_prompts)
    server.start()
    first = server.pid
    server.start()  # running already: nothing happens
    assert server.pid == first
    server.stop()
    server.stop()
    assert server.pid is None
    server.start()
    assert server.pid not in (None, first)
    server.stop()


def test_what_a_killed_command_left_is_ended(tmp_path: Path, tone_prompts: Path) -> None:
    settings = on_free_ports().model_dump_json()
    program = (
        "import sys, os, signal; from pathlib import Path; from hotline.asterisk import *\n"
        "state, prompts, settings = sys.argv[1:]\n"
        "around = Surroundings(Path(state) / 'spool', Path(prompts), '127.0.0.1', 9)\n"
        "s = AsteriskServer(AsteriskSettings.model_validate_json(settings), state_dir=Path(state), around=around)\n"
        "s.start(); print(s.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(tone_prompts), settings],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    left = int(done.stdout.split()[-1])
    around = Surroundings(tmp_path / "spool", tone_prompts, "127.0.0.1", 9)
    server = AsteriskServer(
        on_free_ports().model_validate_json(settings), state_dir=tmp_path, around=around
    )  # the same ports
    assert server.pid == left
    server.start()
    try:
        assert server.pid != left
        assert not Path(f"/proc/{left}/exe").exists() or "Z" in Path(f"/proc/{left}/stat").read_text()
    finally:
        server.stop()


def test_a_recycled_pid_is_not_ours(tmp_path: Path, tone_prompts: Path) -> None:
    server = make_server(tmp_path, tone_prompts)
    server.dir.mkdir(parents=True, exist_ok=True)
    (server.dir / "asterisk.pid").write_text(f"{os.getpid()}\n")
    assert server.pid is None
    server.stop()  # must not end this test
    assert server.pid is None


def test_a_killed_asterisk_is_seen(tmp_path: Path, tone_prompts: Path) -> None:
    server = make_server(tmp_path, tone_prompts)
    server.start()
    assert server.pid is not None
    os.kill(server.pid, 9)
    deadline = time.monotonic() + 20
    while server.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(AsteriskError) as caught:
        server.rx("core show version", timeout_seconds=5)
    assert caught.value.code == "asterisk-not-answering"
    server.start()
    assert server.is_running()
    server.stop()


def test_a_taken_port_is_said(tmp_path: Path, tone_prompts: Path) -> None:
    server = make_server(tmp_path, tone_prompts)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", server.settings.sip_port))
        with pytest.raises(AsteriskError) as caught:
            server.start()
    assert caught.value.code == "asterisk-port-taken"
    assert str(server.settings.sip_port) in caught.value.message
    assert "sip_port" in caught.value.message
    assert not server.is_running()


def test_a_required_module_that_is_missing_stops_the_start(tmp_path: Path, tone_prompts: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONF_DIR, conf)
    with (conf / "modules.conf").open("a") as file:
        file.write("require = app_of_nobody.so\n")
    server = make_server(tmp_path / "state", tone_prompts, conf)
    with pytest.raises(AsteriskError) as caught:
        server.start()
    assert caught.value.code == "asterisk-start-failed"
    assert "app_of_nobody" in caught.value.message
    assert not server.is_running()


def test_an_error_line_stops_the_start_and_is_told(tmp_path: Path, tone_prompts: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONF_DIR, conf)
    with (conf / "pjsip.conf").open("a") as file:
        file.write("\n[broken](phone-template)\nno_such_option = yes\n")
    server = make_server(tmp_path / "state", tone_prompts, conf)
    with pytest.raises(AsteriskError) as caught:
        server.start()
    assert caught.value.code == "asterisk-start-failed"
    assert "no_such_option" in caught.value.message
    assert not server.is_running()


def test_a_deep_state_folder_works(tmp_path: Path, tone_prompts: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 5)
    with make_server(deep, tone_prompts) as server:
        assert server.rx("core show version").startswith("Asterisk ")
        run_dir = (server.dir / "run").resolve()
        assert len(str(run_dir)) < 60
    assert not run_dir.exists()


def test_a_missing_prefix_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AsteriskError) as caught:
        find_asterisk(tmp_path / "nothing")
    assert caught.value.code == "asterisk-missing"
    assert "install-asterisk.sh" in caught.value.message


def test_the_passwords_are_for_the_owner_only(asterisk: AsteriskServer) -> None:
    private = [asterisk.dir / "secrets.toml", *asterisk.etc_dir.iterdir()]
    assert [path.name for path in private if path.stat().st_mode & 0o077] == []
    secrets = load_or_make_secrets(asterisk.dir.parent)
    assert len({secrets.ami, *secrets.phones.values()}) == 3


def test_ami_takes_the_account_and_no_other(asterisk: AsteriskServer) -> None:
    def login(secret: str) -> str:
        with socket.create_connection(("127.0.0.1", asterisk.settings.ami_port), timeout=10) as line:
            file = line.makefile("rwb")
            file.readline()
            file.write(f"Action: Login\r\nUsername: hotline\r\nSecret: {secret}\r\n\r\n".encode())
            file.flush()
            return file.readline().decode().strip()

    assert login(asterisk.secrets.ami) == "Response: Success"
    assert login("hotline") == "Response: Error"
