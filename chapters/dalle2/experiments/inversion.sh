#!/bin/sh
# inversion.sh [OUT] — how near pictures come back from their embeddings and the noise that DDIM leads
# them to. Writes OUT/inversion.csv: steps,scenes,error,largest of SCENES test scenes, brought to 16x16:
# the root of the mean square of values from 0 to 1, its mean over scenes and its largest. From the
# environment:
#   WEIGHTS   the folder of the reference run (build/runs/dalle2)   SCENES   (16)
#   STEPS     ("10 25 50 100 250")   BUILD   where the programs are (build)
out=${1:-build/runs/dalle2-inversion} weights=${WEIGHTS:-build/runs/dalle2} scenes=${SCENES:-16}
rm -rf "$out/scenes"        # an earlier run may have had more
mkdir -p "$out/networks" || exit 1
# without the upsamplers beside them: pictures stay at 16x16
cp "$weights/decoder-weights.safetensors" "$weights/ar-weights.safetensors" "$out/networks" || exit 1
"${BUILD:-build}/dataset" wardrobe --size 64 --part test -n "$scenes" --out "$out/scenes" || exit 1
for steps in ${STEPS:-10 25 50 100 250}; do
    for scene in "$out"/scenes/0*.png; do
        said=$("${BUILD:-build}/dalle2" reconstruct --image "$scene" --respace "ddim$steps" \
            --weights "$out/networks/decoder-weights.safetensors" --out "$out/drawn") || exit 1
        error=$(echo "$said" | sed -n 's/.*off by \([0-9.]*\) at.*/\1/p')
        [ "$error" ] || { echo "inversion: no error in what dalle2 said: $said" >&2; exit 1; }
        echo "$steps $error"
    done
done >"$out/errors" || exit 1
awk 'BEGIN { print "steps,scenes,error,largest" }
     $1 != steps { if (n) print steps "," n "," sum / n "," most; steps = $1; n = sum = most = 0 }
     { n++; sum += $2; if ($2 > most) most = $2 }
     END { print steps "," n "," sum / n "," most }' "$out/errors" >"$out/inversion.csv"
