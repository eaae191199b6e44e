#!/bin/sh
# run.sh all|some PROGRAM... — runs Criterion programs and closes with one line, "N passed, N failed".
# Criterion exits 0 when a filter matched nothing, so the numbers it prints are read, not its status alone.
# `all` also demands that every op seen on any tape has a row in the gradient table.
mode=$1
shift
BUILD=${BUILD:-build}
export OPS_SEEN="$PWD/$BUILD/ops_seen" OPS_WITH_ROWS="$PWD/$BUILD/ops_with_rows"
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}   # threads that spin would fight with whatever else runs
rm -f "$OPS_SEEN" "$OPS_WITH_ROWS"
touch "$OPS_SEEN"
passed=0 failed=0
log=$BUILD/test.log

count() { sed 's/\x1b\[[0-9;]*m//g' "$log" | sed -n "s/.*Synthesis:.*$1: *\([0-9]*\).*/\1/p" | tail -n 1; }

for program in "$@"; do
    start=$(date +%s)
    "$program" -j1 --timeout 300 >"$log" 2>&1
    status=$?
    tested=$(count Tested) good=$(count Passing)
    tested=${tested:-0} good=${good:-0}
    printf '%-28s %3d of %3d passed  %3d s\n' "$(basename "$program")" "$good" "$tested" $(($(date +%s) - start))
    bad=$((tested - good))
    if [ "$tested" = 0 ] || { [ "$status" != 0 ] && [ "$bad" = 0 ]; }; then
        bad=$((bad + 1))
        echo "  $program: exit status $status, $tested tests ran"
    fi
    [ "$bad" = 0 ] || grep -v '^\[RUN\|^\[PASS' "$log" | head -n 60
    passed=$((passed + good)) failed=$((failed + bad))
done

if [ "$mode" = all ]; then
    for op in $(sort -u "$OPS_SEEN" | grep -vx 'input\|variable'); do
        if grep -qx "$op" "$OPS_WITH_ROWS"; then passed=$((passed + 1)); else
            echo "op $op was seen on a tape but has no row in tests/test_grad.c"
            failed=$((failed + 1))
        fi
    done
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
