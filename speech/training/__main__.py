"""`python -m speech.training`: rebuilds the bundled model. See README.md beside this file."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from speech.training.fetch import FetchError
from speech.training.pipeline import SIZES, STAGES, Work, run

_TESTS = Path(__file__).parents[2] / "tests" / "data"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m speech.training", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("var/model"), help="where everything is kept between runs")
    parser.add_argument("--target", type=Path, help="the model folder to write (default: WORK/zh-telephone)")
    parser.add_argument("--human", type=Path, help="index.tsv of human speech (see README.md); without it voices only")
    parser.add_argument("--everyday", type=Path, help="everyday sentences, Tatoeba's (see README.md)")
    parser.add_argument(
        "--unknown",
        type=Path,
        action="append",
        default=sorted(_TESTS.glob("complaints_*.tsv")),
        help="one more table whose sentences must not be learned, beside those of the tests",
    )
    parser.add_argument("--size", choices=sorted(SIZES), default="full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=0, help="0: one a core")
    parser.add_argument("stages", nargs="*", default=list(STAGES), help=f"in order; all: {' '.join(STAGES)}")
    given = parser.parse_args()
    # Dies in an orderly way, so that its processes die with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unknown = [stage for stage in given.stages if stage not in STAGES]
    if unknown:
        parser.error(f"no stage {', '.join(unknown)}: {', '.join(STAGES)}")
    for option, path in (
        ("--human", given.human),
        ("--everyday", given.everyday),
        *(("--unknown", path) for path in given.unknown),
    ):
        if path is not None and not path.is_file():
            parser.error(f"{option} {path}: no such file")
    target = given.target or given.work / "zh-telephone"
    work = Work(
        given.work,
        target,
        SIZES[given.size],
        given.seed,
        given.human,
        given.everyday,
        tuple(given.unknown),
        given.processes,
    )
    for stage in given.stages:
        begun = time.monotonic()
        print(f"— {stage}", flush=True)
        try:
            run(work, [stage])
        except (FetchError, OSError, ValueError, RuntimeError) as error:
            print(f"{stage}: {error}", file=sys.stderr)
            print("What was done is kept; the same command goes on from there.", file=sys.stderr)
            return 1
        print(f"— {stage}: done, {(time.monotonic() - begun) / 60:.1f} min", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
