#!/bin/sh
# golden FILE... — compares our networks with tensors of the papers' official code: each file by the
# program in golden.d that knows its model.
[ $# -gt 0 ] || { echo "golden: which files? golden FILE.safetensors..." >&2; exit 2; }
status=0
for file in "$@"; do
    for part in "$0".d/*; do
        [ -x "$part" ] || continue
        message=$("$part" "$file" 2>&1)
        code=$?
        [ $code = 3 ] || break
    done
    if [ $code = 0 ]; then echo "$message"; else echo "$message" >&2; status=1; fi
done
exit $status
