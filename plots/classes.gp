# classes.csv, as an eval command writes it -> classes.png
set output out."/classes.png"
set title "Classes of the samples, named by the classifier"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 noborder
unset xlabel
set ylabel "share of pictures (%)"
set yrange [0:*]
set xtics rotate by -30 nomirror
plot record."/classes.csv" using (100 * column("samples")):xtic(2) linetype 1 title "generated", \
     "" using (100 * column("test")) linetype 2 title "test images"
set style data points
set xtics norotate autofreq
set yrange [*:*]
