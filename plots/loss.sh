#!/bin/sh
# loss.sh LOG.csv OUT.png COLUMN... — any run's curves: columns of its log against the step, for a look while it trains.
#   sh plots/loss.sh build/runs/ae/log.csv build/loss.png loss validation
# Without columns, all of them. YLABEL="nats per image" names the axis.
log=$1 out=$2
[ $# -ge 2 ] || { echo "usage: sh plots/loss.sh LOG.csv OUT.png [COLUMN...]" >&2; exit 2; }
shift 2
[ -s "$log" ] || { echo "loss: there is no $log; a run writes log.csv into its --out" >&2; exit 1; }
header=$(head -n 1 "$log")
[ $# -gt 0 ] || set -- $(echo "$header" | tr , '\n' | grep -v -x -e step -e seconds)
curves=
for column; do
    echo ",$header," | grep -q ",$column," ||
        { echo "loss: $log has no column $column, but $header" >&2; exit 1; }
    curves="$curves${curves:+, }'$log' using 'step':'$column' with linespoints pointsize 0.3 title '$column' noenhanced"
done
temporary=$(mktemp "$out.XXXXXX") || exit 1
trap 'rm -f "$temporary"' EXIT
gnuplot plots/style.gp -e "set output '$temporary'; set xlabel 'training step'; set ylabel '${YLABEL:-}'; plot $curves" &&
    [ -s "$temporary" ] && chmod 644 "$temporary" && mv "$temporary" "$out" && echo "$out"
