#!/bin/sh
# setup.sh [PACKAGE...] — installs the Debian or Ubuntu packages that are missing: those that everything needs, and
# those named. Says nothing when there is nothing to do.
# setup.sh --check [PACKAGE...] — installs nothing: fails with one line that names what is needed and not there.
check=""
[ "$1" = --check ] && check=1 && shift
needed="gcc libc6-dev zlib1g-dev libcjson-dev libstb-dev libfreetype-dev"
packages="$needed libcriterion-dev liblapacke-dev gnuplot-nox dataset-fashion-mnist fonts-noto-color-emoji unicode-data $*"

if ! command -v dpkg-query >/dev/null; then
    [ -z "$check" ] || exit 0
    echo "setup: this is no Debian or Ubuntu; what is needed: a C compiler, zlib, cJSON, stb, FreeType," >&2
    echo "Criterion, LAPACKE, gnuplot, and Fashion-MNIST in /usr/share/datasets/fashion-mnist or by --data" >&2
    exit 0
fi

missing=""
[ -z "$check" ] || packages="$needed $*"
for p in $packages; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

if [ -n "$check" ]; then
    echo "missing:$missing; \`make setup\` installs what is missing" >&2
    exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
if ! { $sudo apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 ||
       { $sudo apt-get update -qq && $sudo apt-get install -qq -y --no-install-recommends $missing >/dev/null; }; }; then
    echo "setup: could not install$missing; as root: apt-get install$missing" >&2
    for p in $needed; do
        case "$missing " in *" $p "*) exit 1 ;; esac    # nothing compiles without it
    done
fi
