#!/bin/sh
# run_one.sh PROGRAM — runs one Criterion program for run.sh: a line of how it went, what failed below it.
program=$1
name=$(basename "$program")
log=$BUILD/test-logs/$name.log
start=$(date +%s)
"$program" -j1 >"$log" 2>&1
status=$?
count() { sed 's/\x1b\[[0-9;]*m//g' "$log" | sed -n "s/.*Synthesis:.*$1: *\([0-9]*\).*/\1/p" | tail -n 1; }
tested=$(count Tested) good=$(count Passing)
tested=${tested:-0} good=${good:-0} bad=$((${tested:-0} - ${good:-0}))
note=""
if [ "$tested" = 0 ] || { [ "$status" != 0 ] && [ "$bad" = 0 ]; }; then
    bad=$((bad + 1))
    note="  $program: exit status $status, $tested tests ran
"
fi
[ "$bad" = 0 ] || note="$note$(grep -v '^\[RUN\|^\[PASS' "$log" | head -n 60)
"
printf '%-28s %3d of %3d passed  %3d s\n%s' "$name" "$good" "$tested" $(($(date +%s) - start)) "$note"
echo "$good $bad" >"$BUILD/test-logs/$name.count"
