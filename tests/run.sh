#!/bin/sh
# run.sh all|some PROGRAM... — runs Criterion programs and closes with one line, "N passed, N failed".
# Criterion exits 0 when a filter matched nothing, so the numbers it prints are read, not its status alone.
# `all` also demands that every op seen on any tape has a row in the gradient table.
# As many programs run at a time as there are processors, at most $JOBS.
mode=$1
shift
BUILD=${BUILD:-build}
export BUILD OPS_SEEN="$PWD/$BUILD/ops_seen" OPS_WITH_ROWS="$PWD/$BUILD/ops_with_rows"
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}   # threads that spin would fight with whatever else runs
# two targets at a time would overwrite each other's logs
exec 9<"$BUILD" || exit 1
flock -n 9 || { echo "waiting for the tests that run already"; flock 9; }
rm -rf "$OPS_SEEN" "$OPS_WITH_ROWS" "$BUILD/test-logs"
touch "$OPS_SEEN"
mkdir -p "$BUILD/test-logs"

processors=$(nproc 2>/dev/null || echo 1)
jobs=${JOBS:-$((processors < 4 ? processors : 4))}
printf '%s\n' "$@" | xargs -n 1 -P "$jobs" sh tests/run_one.sh 9<&-
passed=$(cat "$BUILD"/test-logs/*.count | awk '{ n += $1 } END { print n + 0 }')
failed=$(cat "$BUILD"/test-logs/*.count | awk '{ n += $2 } END { print n + 0 }')

if [ "$mode" = all ]; then
    for op in $(sort -u "$OPS_SEEN" | grep -vx 'input\|variable'); do
        if grep -qx "$op" "$OPS_WITH_ROWS"; then passed=$((passed + 1)); else
            echo "op $op was seen on a tape but has no row in tests/test_grad.c"
            failed=$((failed + 1))
        fi
    done
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$(ls "$BUILD"/test-logs/*.count | wc -l)" = $# ]
