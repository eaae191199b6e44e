#!/bin/sh
# sweep.sh [OUT] — what the decoder is given, and what its scale does. Writes
#   OUT/priors.csv    prior,scale,samples,whole,seen,held_out_colours,held_out_relations,garment,frechet_distance,precision,recall,cosine
#                     of scenes drawn from captions, for each of PRIORS at each of SCALES
#   OUT/captions.csv  the same of a decoder that was trained on captions alone, STEPS steps (0: none)
# and draws or trains what is not there yet. From the environment:
#   WEIGHTS   the folder of the reference run (build/runs/dalle2)   PRIORS   ("diffusion ar text image none")
#   SCALES    ("1 2 4")   SAMPLES   images to score in each row (900)   STEPS   (50000:
#             about the time of the prior's 4000 and the decoder's 24000)
#   THREADS   of the program   BUILD   where it is (build)
out=${1:-build/runs/dalle2-sweep} samples=${SAMPLES:-900} steps=${STEPS:-50000}
from=${WEIGHTS:-build/runs/dalle2} scales=${SCALES:-1 2 4}
dalle2=${BUILD:-build}/dalle2 threads=${THREADS:+--threads $THREADS}
mkdir -p "$out" || exit 1
. "$(dirname "$0")/../../../common/eval/metrics.sh"
columns=prior,scale,samples,whole,seen,held_out_colours,held_out_relations,garment,frechet_distance,precision,recall,cosine

# row DIR DECODER PRIOR SCALE: draws and scores, unless that is done; prints the row
row() {
    [ "$(outer pictures "$1/metrics.json" 2>/dev/null)" = "$samples" ] || rm -f "$1/metrics.json"
    newer=$(find "$(dirname "$2")" -name '*-weights.safetensors' -newer "$1/metrics.json" 2>/dev/null)
    { fresh "$1/metrics.json" "$2" && [ -z "$newer" ]; } ||
        $dalle2 eval -q $threads --samples "$samples" --weights "$2" --out "$1" --prior "$3" --scale "$4" || exit 1
    printf '%s,%s,%s' "$3" "$4" "$samples"
    for key in caption_whole caption_seen caption_held_out_colours caption_held_out_relations caption_garment \
        frechet_distance precision recall cosine_drawn; do printf ',%s' "$(outer $key "$1/metrics.json")"; done
    echo
}

echo "$columns" >"$out/priors.csv.tmp"
for prior in ${PRIORS:-diffusion ar text image none}; do
    for s in $scales; do
        row "$out/$prior-$s" "$from/decoder-weights.safetensors" "$prior" "$s" >>"$out/priors.csv.tmp" || exit 1
    done
done
mv "$out/priors.csv.tmp" "$out/priors.csv"

# ---- a decoder that never sees an image's embedding -----------------------------------------------------

[ "$steps" = 0 ] && exit
alone=$out/captions-$steps
resume=; [ ! -e "$alone/decoder-checkpoint.safetensors" ] || resume=--resume
$dalle2 train -q $threads $resume --stage decoder --decoder-steps "$steps" --no-image 1 --no-caption 0.1 --preview 0 --out "$alone" || exit 1
cp -p "$from"/upsampler32-weights.safetensors "$from"/upsampler64-weights.safetensors "$alone" || exit 1
echo "$columns" >"$out/captions.csv.tmp"
for s in $scales; do
    row "$alone/scale-$s" "$alone/decoder-weights.safetensors" none "$s" >>"$out/captions.csv.tmp" || exit 1
done
mv "$out/captions.csv.tmp" "$out/captions.csv"
