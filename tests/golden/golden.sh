#!/bin/sh
# golden [-v] FILE... — compares our networks with tensors of the papers' official code: each file by the
# program in golden.d that knows its model. -v: a line for each tensor. golden --models lists what is known.
case $1 in
--models)
    for part in "$0".d/*; do
        [ ! -x "$part" ] || "$part" --models || exit 1
    done
    exit 0 ;;
-v) verbose=-v; shift ;;
esac
[ $# -gt 0 ] || { echo "golden: which files? golden [-v] FILE.safetensors..." >&2; exit 2; }
status=0
for file in "$@"; do
    for part in "$0".d/*; do
        [ -x "$part" ] || continue
        message=$("$part" $verbose "$file" 2>&1)
        code=$?
        [ $code = 3 ] || break
    done
    if [ $code = 0 ]; then echo "$message"; else echo "$message" >&2; status=1; fi
done
exit $status
