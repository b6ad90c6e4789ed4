#!/usr/bin/env bash
# What the tests need beyond Python: Debian's Chromium with a Chinese font, for the browser tests.
# usage: install-test-tools.sh
# Does nothing when all of it is there; needs root only when something is missing.
set -euo pipefail

say() { printf '\033[1m· %s\033[0m\n' "$*"; }
fail() {
    printf 'install-test-tools: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}

has_browser() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }
has_chinese() { command -v fc-list >/dev/null && [ -n "$(fc-list :lang=zh 2>/dev/null | head -n 1)" ]; }

packages=
has_browser || packages="$packages chromium"
has_chinese || packages="$packages fontconfig fonts-wqy-microhei"
if [ -z "$packages" ]; then
    say "test tools: Chromium and a Chinese font are there already"
    exit 0
fi
command -v apt-get >/dev/null || fail "install these yourself, this machine has no apt-get:$packages"
[ "$(id -u)" = 0 ] || fail "the browser tests need:$packages" "as root: apt-get install$packages (or run 'make test' as root once)"

started=$SECONDS
say "installing for the browser tests:$packages (about 120 MB, once; a minute)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # a list of package names
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 $packages; } >"$log" 2>&1 ||
    fail "apt-get could not install$packages:" "$(tail -n 3 "$log")" "Check the network and apt's sources, then run this again: it goes on where it broke off."
has_browser || fail "chromium was installed, but there is no chromium command"
say "test tools: $(chromium --version 2>/dev/null | head -n 1 || echo Chromium) ($((SECONDS - started)) s)"
