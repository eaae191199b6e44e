#!/bin/sh
# plot.sh NAME RECORD OUT — draws the plot.gp of a chapter (chapters/NAME) or a tool (common/*/NAME) from the files
# in RECORD into OUT.
# gnuplot leaves an empty picture behind when it fails, so pictures are drawn elsewhere and moved when whole.
name=$1 record=$2 out=$3
[ -d "$record" ] || { echo "plot: there is no $record to draw from; train first: build/$name train --out $record" >&2; exit 1; }
for script in chapters/"$name"/plot.gp common/*/"$name"/plot.gp; do [ -f "$script" ] && break; done
mkdir -p "$out" || exit 1
temporary=$(mktemp -d "$out/.plot.XXXXXX") || exit 1
trap 'rm -rf "$temporary"' EXIT
gnuplot -e "record='$record'; out='$temporary'" plots/style.gp "$script" || exit 1
for picture in "$temporary"/*.png; do
    [ -s "$picture" ] || { echo "plot: gnuplot drew nothing from $record" >&2; exit 1; }
    mv "$picture" "$out/" && echo "$out/$(basename "$picture")"
done
