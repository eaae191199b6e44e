#!/bin/sh
# plot.sh CHAPTER RECORD OUT — draws chapters/CHAPTER/plot.gp from the files in RECORD into OUT.
# gnuplot leaves an empty picture behind when it fails, so pictures are drawn elsewhere and moved when whole.
chapter=$1 record=$2 out=$3
[ -d "$record" ] || { echo "plot: there is no $record to draw from; train first: build/$chapter train --out $record" >&2; exit 1; }
mkdir -p "$out" || exit 1
temporary=$(mktemp -d "$out/.plot.XXXXXX") || exit 1
trap 'rm -rf "$temporary"' EXIT
gnuplot -e "record='$record'; out='$temporary'" plots/style.gp "chapters/$chapter/plot.gp" || exit 1
for picture in "$temporary"/*.png; do
    [ -s "$picture" ] || { echo "plot: gnuplot drew nothing from $record" >&2; exit 1; }
    mv "$picture" "$out/" && echo "$out/$(basename "$picture")"
done
