#!/usr/bin/env bash
# What only the tests need and Debian has: the browser, and a Chinese font for it. Used by `make test`; a second run is instant.
set -euo pipefail

say() { printf '\033[1m· %s\033[0m\n' "$*"; }

wanted=()
command -v chromium >/dev/null || wanted+=(chromium)
[ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || wanted+=(fonts-noto-cjk)

if [ ${#wanted[@]} -eq 0 ]; then
    say "test tools are here: $(chromium --version 2>/dev/null)"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "The browser tests need ${wanted[*]}: run 'apt-get install ${wanted[*]}' as root, then try again." >&2
    exit 1
fi
say "installing ${wanted[*]} from Debian (about a minute)"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
say "$(chromium --version 2>/dev/null)"
