#!/usr/bin/env bash
# A real Asterisk, for `make setup`, the tests and the images.
# usage: install-asterisk.sh [PREFIX]      PREFIX: default .asterisk in the checkout
#
# Uses the machine's own Asterisk when it is 18 or newer and whole. Else it takes Debian's package from sid with all its
# libraries, checks Debian's signatures with apt, and unpacks them into PREFIX; nothing on the machine is changed, no root
# is needed. It runs with its own C library, so the machine's age does not matter (hotline/asterisk.py starts it so).
#
# Environment: HOTLINE_DEBIAN_MIRROR (default: the machine's own mirror), HOTLINE_DEBIAN_SUITE (default: sid).
# Safe to interrupt and to run again: what was downloaded stays, and PREFIX is whole or not there.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${1:-.asterisk}
suite=${HOTLINE_DEBIAN_SUITE:-sid}
oldest=18
needed="chan_pjsip res_agi res_audiosocket app_audiosocket app_queue app_mixmonitor app_record"

say() { printf '\033[1m· %s\033[0m\n' "$*"; }
fail() {
    printf 'install-asterisk: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}
another_way() {
    fail "$@" \
        "Other ways to an Asterisk: install one of $oldest or newer yourself (then this script uses it)," \
        "or copy the folder .asterisk from a machine where this worked."
}

# --- is there one?

# version_of COMMAND… → 22.10.1, or nothing
version_of() { "$@" -V 2>/dev/null | sed -nE 's/^Asterisk (certified[-\/])?([0-9]+(\.[0-9]+)*).*/\2/p' || true; }

# lacking FOLDER → the needed modules that are not there
lacking() {
    local module missing=
    for module in $needed; do [ -f "$1/$module.so" ] || missing="$missing $module"; done
    printf '%s' "$missing"
}

# run_own ROOT OPTION… : the Asterisk in ROOT, with its own loader and libraries
run_own() {
    local root=$1 loader libraries
    shift
    loader=$(find "$root/usr/lib64" "$root/usr/lib" -maxdepth 1 -name 'ld-linux-*.so.*' 2>/dev/null | head -n 1)
    libraries=$(dirname "$(dirname "$(modules_of "$root")")")
    [ -n "$loader" ] && "$loader" --library-path "$libraries" "$root/usr/sbin/asterisk" "$@"
}
modules_of() { find "$1/usr/lib" -maxdepth 3 -path '*/asterisk/modules' -type d 2>/dev/null | head -n 1; }

system=$(PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v asterisk || true)
if [ -n "$system" ]; then
    version=$(version_of "$system")
    folder=
    for candidate in /usr/lib/*/asterisk/modules /usr/lib/asterisk/modules /usr/lib64/asterisk/modules \
        /usr/local/lib/asterisk/modules; do
        if [ -d "$candidate" ]; then folder=$candidate && break; fi
    done
    if [ -n "$version" ] && [ "${version%%.*}" -ge $oldest ] && [ -n "$folder" ] && [ -z "$(lacking "$folder")" ]; then
        say "Asterisk: using this machine's own, $version ($system)"
        exit 0
    fi
    say "this machine's Asterisk (${version:-version unknown}) will not do (older than $oldest, or modules missing): an own one is installed beside it"
fi

if [ -x "$prefix/usr/sbin/asterisk" ] && [ -f "$prefix/VERSION" ] && [ -n "$(version_of run_own "$prefix")" ]; then
    say "Asterisk: $(cat "$prefix/VERSION") is in $prefix already"
    exit 0
fi

# --- get one

for tool in apt-get dpkg-deb; do
    command -v $tool >/dev/null || another_way "this machine has no $tool, and a real Asterisk comes from Debian's packages."
done
mkdir -p "$prefix" 2>/dev/null && [ -w "$prefix" ] || fail "cannot write $prefix: choose another folder, or run as its owner"
prefix=$(cd "$prefix" && pwd)
exec 9>"$prefix/lock"
command -v flock >/dev/null && { flock -n 9 || fail "another install-asterisk.sh is at work in $prefix: let it finish"; }

started=$SECONDS
say "installing a real Asterisk into ${prefix#"$PWD"/} (about 100 MB to download, once; half a minute on a fast line)"
mirror=${HOTLINE_DEBIAN_MIRROR:-}
if [ -z "$mirror" ]; then
    mirror=$(apt-get update --print-uris 2>/dev/null | sed -nE "s,^'([^']+/debian)/dists/.*,\\1,p" | head -n 1 || true)
fi
[ -n "$mirror" ] || another_way "this machine's apt knows no Debian mirror: name one in HOTLINE_DEBIAN_MIRROR=https://…/debian"
keyring=
for candidate in /usr/share/keyrings/debian-archive-keyring.pgp /usr/share/keyrings/debian-archive-keyring.gpg; do
    if [ -f "$candidate" ]; then keyring=$candidate && break; fi
done
[ -n "$keyring" ] || fail "Debian's signing keys are not on this machine: apt-get install debian-archive-keyring, then again"

# An apt of our own beside the machine's: its own lists, its own (empty) record of what is installed. The machine's
# proxy settings still count.
part=$prefix/part
mkdir -p "$part/lists/partial" "$part/archives/partial" "$part/nothing"
: >"$part/status"
printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite" >"$part/sources.list"
dates="-o Acquire::Check-Date=true"
own_apt() {
    # shellcheck disable=SC2086  # two options in one
    LC_ALL=C apt-get -o Dir::State::lists="$part/lists" -o Dir::State::status="$part/status" \
        -o Dir::State::extended_states="$part/extended_states" \
        -o Dir::Cache::archives="$part/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o Dir::Etc::sourcelist="$part/sources.list" -o Dir::Etc::sourceparts="$part/nothing" \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts="$part/nothing" \
        -o APT::Sandbox::User= -o APT::Install-Recommends=false -o APT::Update::Error-Mode=any \
        -o Acquire::Retries=3 -o Debug::NoLocking=1 $dates "$@"
}

say "asking the Debian mirror what belongs to an Asterisk"
own_apt -qq update >"$part/log" 2>&1 || {
    # A frozen mirror, a snapshot, or a wrong clock here: the signatures are good, so an older list is good enough.
    grep -qE 'is expired|is not valid yet' "$part/log" &&
        say "the mirror's list is older than its date allows (or this machine's clock is wrong): going on with it" &&
        dates="-o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false" &&
        own_apt -qq update >"$part/log" 2>&1
} || another_way "the Debian mirror $mirror cannot be reached, or carries no $suite:" "$(tail -n 3 "$part/log")" \
        "Check the network and apt's proxy, or name another mirror in HOTLINE_DEBIAN_MIRROR."
own_apt -qq --print-uris -y install asterisk >"$part/wanted" 2>"$part/log" ||
    another_way "Debian $suite cannot install its asterisk today (it is a suite in motion):" "$(tail -n 3 "$part/log")" \
        "Try again tomorrow, or set HOTLINE_DEBIAN_SUITE and HOTLINE_DEBIAN_MIRROR to a snapshot."
version=$(sed -nE 's/.* asterisk_([^ ]*)_[a-z0-9]+\.deb .*/\1/p' "$part/wanted" | sed -E 's/^[0-9]+%3a//; s/[+-].*//')
say "downloading Asterisk $version and its libraries: $(wc -l <"$part/wanted") packages, $(awk '{ sum += $3 } END { printf "%d", sum / 1e6 }' "$part/wanted") MB"
own_apt -qq -y --download-only install asterisk >"$part/log" 2>&1 ||
    another_way "the download broke off (what came stays; run this again to go on):" "$(tail -n 3 "$part/log")"

say "unpacking"
rm -rf "$part/root"
mkdir -p "$part/root"
# Only what a running Asterisk opens; the licence texts stay.
while read -r _uri name _rest; do
    dpkg-deb --fsys-tarfile "$part/archives/$name" | tar -x -C "$part/root" --no-same-owner --wildcards \
        --exclude='*/perl*' --exclude='*/gconv/*' --exclude='*/systemd/*' --exclude='./usr/share/locale' \
        --exclude='./usr/share/man' --exclude='./usr/share/info' --exclude='./usr/share/zoneinfo' \
        --exclude='./usr/share/perl*' --exclude='./usr/share/doc/*changelog*' --exclude='./usr/bin' \
        --exclude='./etc' --exclude='./var' --exclude='./lib/systemd' ||
        fail "cannot unpack $name: is the disk full? ($(df -h --output=avail "$part" | tail -n 1 | tr -d ' ') free)"
done <"$part/wanted"
# Packages from before the merge of / and /usr put their libraries into /lib.
if [ -d "$part/root/lib" ] && [ ! -L "$part/root/lib" ]; then cp -a "$part/root/lib/." "$part/root/usr/lib/"; fi
if [ -d "$part/root/lib64" ] && [ ! -L "$part/root/lib64" ]; then
    mkdir -p "$part/root/usr/lib64" && cp -a "$part/root/lib64/." "$part/root/usr/lib64/"
fi

found=$(version_of run_own "$part/root")
[ -n "$found" ] || another_way "the unpacked Asterisk does not run:" "$(run_own "$part/root" -V 2>&1 | tail -n 3)"
[ "${found%%.*}" -ge $oldest ] || another_way "Debian $suite carries Asterisk $found, and the hotline needs $oldest or newer."
missing=$(lacking "$(modules_of "$part/root")")
[ -z "$missing" ] || another_way "Debian's Asterisk $found lacks modules that the hotline needs:$missing"

rm -rf "$prefix/usr"
mv "$part/root/usr" "$prefix/usr"
printf '%s\n' "$found" >"$prefix/VERSION"
rm -rf "$part"
say "Asterisk $found is in ${prefix#"$PWD"/} ($((SECONDS - started)) s, $(du -sm "$prefix" | cut -f 1) MB)"
