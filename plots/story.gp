# story.gp — story.png: eight images from every chapter in the order of the story, cut from the pictures that
# `make sample-...` and training wrote. A row is the first of the chapter's samples, or its reconstructions.
chapters = "gan ae dae_mae vae vqvae vqvae2 dalle ddpm iddpm guidance cfg dalle2 ldm"
file(c) = c eq "ae" ? "ae/reconstructions" : c eq "dae_mae" ? "dae_mae/repairs-75" : c eq "iddpm" ? "iddpm/samples-250" : c eq "guidance" ? "guidance/scale-4" : c eq "cfg" ? "cfg/wardrobe" : c."/samples"
label(c) = c eq "ae" ? "ae:\nreconstructions" : c eq "dae_mae" ? "dae\\_mae:\n3/4 were hidden" : c
reconstructs(c) = c eq "ae" || c eq "dae_mae"
left(c) = reconstructs(c) ? 96 : 0      # pixels that row labels take
above(c) = c eq "vqvae" || c eq "vqvae2" || c eq "guidance" ? 14 : 0        # and column labels
captioned(c) = c eq "dalle" || c eq "cfg" || c eq "dalle2" || c eq "ldm"
cell(c) = captioned(c) ? 130 : c eq "vqvae2" ? 66 : 58      # pixels of an image and the gap
SIDE = 58; STEP = 62; TEXT = 130; COLUMNS = 8
rows = words(chapters)
width = TEXT + COLUMNS * SIDE + 8.0; height = STEP * rows + 8.0
set output out."/story.png"
set terminal pngcairo size width, height font "DejaVu Sans,11" background rgb "#ffffff"
set multiplot
unset border; unset tics; unset key; unset title; unset grid; unset xlabel; unset ylabel
set lmargin 0; set rmargin 0; set tmargin 0; set bmargin 0
do for [i = 1:rows] {
    c = word(chapters, i)
    w = cell(c); top = above(c) + reconstructs(c) * w
    set size COLUMNS * SIDE / width, SIDE / height
    set origin TEXT / width, 1 - STEP * i / height
    set label 1 label(c) at screen TEXT / 2 / width, screen 1 - (STEP * i - SIDE / 2) / height center
    set xrange [left(c):left(c) + COLUMNS * w - 1]
    set yrange [top + w - 1:top]
    plot "plots/".file(c).".png" binary filetype=png origin=(0,0) dx=1 dy=1 flipy with rgbimage
}
unset multiplot
