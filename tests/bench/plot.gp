# plot.gp — how many times faster than the best peer: one pair of bars a row of bench.csv.
#   gnuplot -e "csv='build/bench.csv'; out='build/bench.png'" plots/style.gp tests/bench/plot.gp
if (!exists("csv")) csv = "build/bench.csv"
if (!exists("out")) out = "build/bench.png"

# csv -> label, ratio on 1 thread, ratio on 2 threads; training steps first; rows without a peer are
# left out. A peer's name is its first word: the layout after it may differ with the threads.
order = "BEGIN {FS = \",\"} \
 FNR > 1 && $2 != \"shared\" && $7 > 0 {split($5, peer, \" \"); k = $1 \" vs \" peer[1]; \
   if (!(k in at)) {at[k] = ++n; label[n] = k; step[n] = $2 == \"step\"} ratio[at[k],$3] = $7} \
 function or_missing(r) {return r ? r : \"?\"} \
 END {for (s = 1; s >= 0; s--) for (i = 1; i <= n; i++) if (step[i] == s) \
   printf \"%s,%s,%s\\n\", label[i], or_missing(ratio[i,1]), or_missing(ratio[i,2])}"
table = sprintf("< awk '%s' '%s'", order, csv)

set datafile missing "?"
stats table using 2 nooutput
rows = int(STATS_records + STATS_invalid)
set terminal pngcairo size 1000, 140 + 26 * rows font "DejaVu Sans,11" background rgb "#ffffff"
set output out

set title "Speed of this library / speed of its peer (right of the line: faster)"
set logscale x 2
set xtics (0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32)
set xrange [* < 0.5 : 4 < *]
set yrange [rows - 0.5 : -0.5] noextend
set ytics noenhanced scale 0
set format x "%gx"
set grid xtics noytics
unset border
set style fill solid 0.9 noborder
set arrow 1 from 1, graph 0 to 1, graph 1 nohead linecolor rgb "#222222" linewidth 2 front
set key outside below center horizontal

# a bar runs from 1 to the ratio, so that its length is the logarithm of the gain
end(r) = r > 1 ? r : 1
text(r) = sprintf(" %.2f", r)
plot table using (1):0:(1):2:($0 - 0.38):($0):ytic(1) with boxxyerror linecolor rgb blue \
         title "1 thread", \
     "" using (1):0:(1):3:($0):($0 + 0.38) with boxxyerror linecolor rgb orange \
         title "2 threads", \
     "" using (end($2)):($0 - 0.19):(text($2)) with labels left font ",9" notitle, \
     "" using (end($3)):($0 + 0.19):(text($3)) with labels left font ",9" notitle
