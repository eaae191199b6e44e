#!/bin/sh
# mutants.sh [WORD] — tests of the tests. Each row of mutants.tsv breaks a copy of the code in one way; a test
# program named in the row must then fail. A mutant that survives is a hole in the tests. WORD: only the rows
# that hold it. As many rows are tried at a time as there are processors, at most $JOBS.
# `make MPI=1 mutants` tries the rows whose tests start several processes, and only these.
table=tests/mutants.tsv work=build/mutants
processors=$(nproc 2>/dev/null || echo 1)
jobs=${JOBS:-$((processors < 4 ? processors : 4))} make_jobs=1
export OMP_WAIT_POLICY=passive BUILD=build JOBS=1 CFLAGS="-O2 -march=native"    # tests at -O1, see Makefile
export CHAPTERS="ae tools"    # of test_programs and test_processes

# ---- one row, in the tree $1: file, tests, old, new -----------------------------------------------------

# test PROGRAM[:PATTERN]... — builds and runs these (a word with + is a program that tests start; a chapter's
# tests start the chapter's); 0: all pass, 1: one fails, 2: nothing was tested
run_tests() {
    for word in $1; do
        tests=${word%%:*} chapter=${word%%-float*}
        case $word in
        +*) targets="$targets build/${word#+}" CHAPTERS="$CHAPTERS ${word#+}" ;;
        *) targets="$targets build/tests/$tests" ;;
        esac
        [ ! -d "chapters/$chapter" ] || targets="$targets build/$chapter"
    done
    make -s -j$make_jobs $targets >log 2>&1 || return 2
    targets=
    for word in $1; do
        case $word in +*) continue ;; *:*/*) pattern=${word#*:} ;; *:*) pattern=*/${word#*:} ;; *) pattern='*' ;; esac
        "build/tests/${word%%:*}" -j1 --fail-fast --filter "$pattern" >log 2>&1
        status=$?
        tested=$(sed 's/\x1b\[[0-9;]*m//g' log | sed -n 's/.*Synthesis:.*Tested: *\([0-9]*\).*/\1/p' | tail -n 1)
        [ "${tested:-0}" != 0 ] || [ $status -gt 1 ] || return 2
        [ $status = 0 ] || return 1
    done
}

try_row() {
    cd "$1" || exit 1
    export OLD="$4" NEW="$5"
    what="$2: $4 -> $5"
    path=$(find common chapters tests -path "*/$2" -o -path "$2")
    [ "$(echo "$path" | wc -l)" = 1 ] && [ -f "$path" ] || { echo "STALE    $what: no file, or several"; return; }
    cp -a "$path" original
    perl -e 'local $/; open F, "<", $ARGV[0]; $_ = <F>; $n = () = /\Q$ENV{OLD}\E/g; exit 3 if $n != 1;
             s/\Q$ENV{OLD}\E/$ENV{NEW}/; open F, ">", $ARGV[0]; print F $_' "$path" ||
        { echo "STALE    $what: does not stand there once"; return; }
    run_tests "$3"
    case $? in
    0) echo "SURVIVED $what ($3)" ;;
    1) echo "killed   $what ($3)" ;;
    *) echo "STALE    $what ($3): does not compile, or no such test: $(tail -n 1 log)" ;;
    esac
    cp -a original "$path"
    touch "$path"
}

if [ "$1" = --rows ]; then      # of a worker: number, of how many
    grep -v '^#\|^$' "$work/rows" | awk -v i="$2" -v n="$3" 'NR % n == i' |
        while IFS='	' read -r file tests old new; do (try_row "$work/$2" "$file" "$tests" "$old" "$new"); done
    exit
fi

# ---- all rows ---------------------------------------------------------------------------------------------

rm -rf $work
mkdir -p $work/0
if [ "$MPI" = 1 ]; then choose=processes-float; else choose="-v processes-float"; fi
export MPIRUN="${MPIRUN:-mpirun --oversubscribe --allow-run-as-root}"
[ "$MPI" = 1 ] || unset MPIRUN
grep -v '^#\|^$' $table | grep $choose | grep -F -- "$1" >$work/rows
cp -a Makefile common chapters tests plots notebooks-data $work/0/ || exit 1
make_jobs=$jobs
for word in $(cut -f 2 $work/rows | tr ' ' '\n' | sort -u); do
    (cd $work/0 && run_tests "$word") || { cat $work/0/log; bad="$bad $word"; }
done
[ -z "$bad" ] || { echo "mutants: before anything is broken fail:$bad"; exit 1; }
i=1
while [ $i -lt "$jobs" ]; do cp -a $work/0 $work/$i; i=$((i + 1)); done
seq 0 $((jobs - 1)) | xargs -I{} -P "$jobs" sh "$0" --rows {} "$jobs" | tee $work/report
count() { grep -c "^$1" $work/report; }
echo "$(count killed) mutants killed, $(count SURVIVED) survived, $(count STALE) no longer fit"
[ "$(count killed)" = "$(wc -l <$work/rows)" ]
