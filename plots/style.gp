# style.gp — one look for all plots: light background, colours that colour-blind readers can tell apart
# (Okabe & Ito 2008), legend outside the data.
set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
set datafile separator ","
set border 3 linecolor rgb "#444444" linewidth 1
set tics nomirror textcolor rgb "#222222"
set grid linecolor rgb "#dddddd" linewidth 1
set key outside below center horizontal Left reverse noautotitle height 1
blue = "#0072b2"; orange = "#e69f00"; green = "#009e73"; red = "#d55e00"; purple = "#cc79a7"; sky = "#56b4e9"; grey = "#777777"
set linetype 1 linecolor rgb blue linewidth 2 pointtype 7
set linetype 2 linecolor rgb red linewidth 2 pointtype 5
set linetype 3 linecolor rgb green linewidth 2 pointtype 9
set linetype 4 linecolor rgb orange linewidth 2 pointtype 11
set linetype 5 linecolor rgb purple linewidth 2 pointtype 13
set linetype 6 linecolor rgb sky linewidth 2 pointtype 6
# ten classes (a scatter's colours cannot all stay apart for every eye: the legend's order helps)
class_colours = "#0072b2 #d55e00 #009e73 #cc79a7 #e69f00 #56b4e9 #000000 #8c6d31 #7f3fbf #a0a0a0"
# eval wide: two plots side by side; eval plain: as at first, after them
wide = 'set terminal pngcairo size 1200,540 font "DejaVu Sans,13" background rgb "#ffffff"'
plain = 'unset multiplot; set key outside below center horizontal samplen 4 spacing 1; unset logscale; unset title; unset ylabel; set format x; set format y; set xrange [*:*]; set yrange [*:*]; set xtics norotate autofreq; set ytics autofreq; set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"'
there(path) = system(sprintf("test -s '%s' && echo 1 || echo 0", path)) + 0
# the Fréchet distance of test images in the metrics.json of an eval command
floor_of(file) = there(file) ? real(system(sprintf("tr -d ' \\t\\n' <'%s' | sed -n 's/.*\"test_images\":{\"frechet_distance\":\\([-0-9.e+]*\\).*/\\1/p'", file))) : NaN
