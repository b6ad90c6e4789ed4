"""usage: make bench [BENCH="pipeline streams …"] [BENCH_OPTIONS="--quick --server ws://host:2700"]

Each part runs in a process of its own: what goes wrong in one is told, and the rest goes on. The table is printed and
kept with the figures (JSON) and a page with the plots in the run's folder. Exit status: 0 when every part measured what
it should, 1 when one failed. Goals that were missed are marked and are no failure.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import PartResult
from bench.machine import describe
from bench.parts import Bench, Measure
from bench.table import markdown
from hotline.logs import configure_logging
from hotline.settings import CHECKOUT, SettingsError, load_settings

# In this order: the recordings of `calls` are what `pipeline` then measures.
PARTS = {
    "calls": "bench.calls",
    "pipeline": "bench.pipeline",
    "streams": "bench.streams",
    "audio": "bench.audio_path",
    "overload": "bench.overload",
    "drafting": "bench.drafting",
}
PART_SECONDS_MOST = 900
STOP_SECONDS = 60


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="measure this machine")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: to try it, not to publish")
    parser.add_argument("--server", default="", help="streams: measure this server of vosk-server's protocol, too")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "var" / "bench", help="where the results go")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a part's own process
    given = parser.parse_args()
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; choose of {', '.join(PARTS)}")
    return given


def _one(given: argparse.Namespace) -> int:
    """A part, in this process; its result to <out>/<part>.json."""
    configure_logging(quiet=True)
    measure: Measure = importlib.import_module(PARTS[given.one]).measure
    bench = Bench(load_settings(), given.out, given.quick, given.server)
    result = measure(bench)
    (given.out / f"{given.one}.json").write_text(json.dumps(result.as_json(), ensure_ascii=False, indent=1), "utf-8")
    return 0


def _run(part: str, given: argparse.Namespace) -> PartResult:
    """A part in a process of its own."""
    path = given.out / f"{part}.json"
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench", "--one", part, "--out", str(given.out)]
    command += ["--quick"] if given.quick else []
    command += ["--server", given.server] if given.server else []
    started = time.monotonic()
    failure = _watch(command, given.out / f"{part}.log", PART_SECONDS_MOST)
    seconds = round(time.monotonic() - started, 1)
    if failure or not path.exists():
        return PartResult(part, failure=failure or f"left no result (see {given.out / f'{part}.log'})", seconds=seconds)
    data = json.loads(path.read_text("utf-8"))
    return PartResult.from_json(data | {"seconds": seconds})


def _watch(command: Sequence[str], log: Path, most_seconds: float) -> str:
    """Runs it, shows its progress as it comes; why it failed, empty when it did not. It may say nothing, or hang."""
    overdue = threading.Event()

    def stop() -> None:
        overdue.set()
        process.send_signal(signal.SIGINT)  # so that it takes down the hotline that it has brought up
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()

    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert process.stderr is not None
    watch = threading.Timer(most_seconds, stop)
    watch.start()
    try:
        with log.open("wb") as errors:
            for line in process.stderr:
                errors.write(line)
                if line.startswith(b"  "):
                    sys.stderr.buffer.write(line)
                    sys.stderr.flush()
        status = process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    finally:
        watch.cancel()
    if overdue.is_set():
        return f"not done in {most_seconds:g} s"
    return f"exit status {status}: {_last_line(log)} (all of it: {log})" if status else ""


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"


def main() -> int:
    given = _arguments()
    given.out = given.out.resolve()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.one:
        return _one(given)
    try:
        machine = describe(load_settings())
    except SettingsError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    if "note" in machine:
        print(f"! {machine['others']}: figures of a machine that is at other work are for trying only", file=sys.stderr)
    chosen = [part for part in PARTS if part in (given.parts or PARTS)]
    results: list[PartResult] = []
    for number, part in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {part}", file=sys.stderr, flush=True)
        results.append(_run(part, given))
        told = f"failed: {results[-1].failure}" if results[-1].failure else "done"
        print(f"[{number}/{len(chosen)}] {part} {told} in {results[-1].seconds:.0f} s", file=sys.stderr, flush=True)
    _tell(given.out, machine, results)
    return 1 if any(result.failure for result in results) else 0


def _tell(out: Path, machine: dict[str, str], results: list[PartResult]) -> None:
    table = markdown(machine, results)
    print(table)
    (out / "bench.md").write_text(table, "utf-8")
    whole = {"machine": machine, "parts": [result.as_json() for result in results]}
    (out / "bench.json").write_text(json.dumps(whole, ensure_ascii=False, indent=1), "utf-8")
    try:
        from bench.page import page

        (out / "bench.html").write_text(page(machine, results), "utf-8")
    except ImportError as error:
        print(f"! no page with plots: {error}", file=sys.stderr)
    print(f"kept in {out}: bench.md, bench.json, bench.html", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
