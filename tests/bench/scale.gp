# scale.gp — efficiency of many machines by the model of SCALE.md.
#   gnuplot -e "csv='notebooks-data/scale/scale.csv'; out='plots/scale/scale.png'" plots/style.gp tests/bench/scale.gp
set output out
set title "Model: machines of two cores, 0.1 ms a message; dashed: gradients sent after the backward pass"
set logscale x 2
set xlabel "machines"
set ylabel "computation / step"
set yrange [0:1.02]
set xrange [2:1024]
names = "ddpm;iddpm imagenet64;sd1;sd1 100 times as fast"
name(k) = system(sprintf("echo '%s' | cut -d';' -f%d", names, k))
rows(k, gbit) = sprintf("< awk -F, '$1 == \"%s\" && $2 == %d' '%s'", name(k), gbit, csv)
plot for [k = 1:4] rows(k, 1) using 3:6 with linespoints linetype k title name(k) . ", 1 Gbit/s", \
     for [k = 1:4] rows(k, 1) using 3:7 with lines linetype k dashtype 2, \
     for [k = 3:4] rows(k, 10) using 3:6 with linespoints linetype k pointtype 4 linewidth 1 title name(k) . ", 10 Gbit/s"
