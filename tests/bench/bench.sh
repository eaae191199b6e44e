#!/bin/sh
# bench.sh [BUILD] — kernels, then whole training steps against PyTorch, then the picture of both.
# Run from the top of the repository by `make bench`. PYTHON=... takes PyTorch from another Python;
# ROUNDS=..., THREADS=1,2 as in bench_steps.c.
build=${1:-build}

# Every peer at its best: what holds it back is taken away, and PyTorch's own loops take the widest
# vectors of the processor (it would stop at AVX2).
for name in $(env | sed -n 's/^\(OPENBLAS_[A-Z0-9_]*\|GOTO_[A-Z_]*\|MKL_[A-Z_]*\|DNNL_[A-Z_]*\|ONEDNN_[A-Z_]*\|ATEN_[A-Z_]*\|OMP_[A-Z_]*\)=.*/\1/p'); do
    echo "bench: $name is not passed on"
    unset "$name"
done
if grep -qw avx512vl /proc/cpuinfo 2>/dev/null; then export ATEN_CPU_CAPABILITY=avx512; fi

csv=$build/bench.csv memory=$build/bench_memory.csv
rm -f "$csv" "$memory"

for threads in $(echo "${THREADS:-1,2}" | tr , ' '); do
    "$build/bench_kernels" --threads "$threads" --csv "$csv" || exit 1
done
"$build/bench_steps" time --csv "$csv" --memory "$memory" --python "${PYTHON:-/usr/bin/python3}" \
    --rounds "${ROUNDS:-5}" --threads "${THREADS:-1,2}" ${PEAK:+--peak "$PEAK"} || exit 1

# a ratio needs a peer; without any there is nothing to draw
if ! awk -F, 'FNR > 1 && $7 > 0 {found = 1} END {exit !found}' "$csv"; then
    echo "bench: no peer was there to compare with, so no picture"
elif ! command -v gnuplot >/dev/null; then
    echo "bench: gnuplot is missing, so no picture"
else
    gnuplot -e "csv='$csv'; out='$build/bench.png'" plots/style.gp tests/bench/plot.gp &&
        echo "picture: $build/bench.png"
fi
