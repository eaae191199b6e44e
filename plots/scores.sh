#!/bin/sh
# scores.sh OUT — scores of all chapters' committed weights on Fashion-MNIST, with the same number of samples:
# OUT/scores.csv, a row for each chapter and sampling seed, and OUT/summary.csv, mean and standard deviation over
# the seeds. What is already in OUT is not drawn again. ddpm and iddpm take about an hour a seed: $LONG_SEEDS are theirs.
BUILD=${BUILD:-build}
out=${1:?scores.sh OUT}
chapters=${CHAPTERS:-gan vae vqvae vqvae2 ddpm iddpm}
seeds=${SEEDS:-1 2 3}
samples=${SAMPLES:-10000}
scores="frechet_distance precision recall coverage sharpness kernel_distance"
mkdir -p "$out" || exit 1

# FILE of an eval command, samples|test_images -> the scores, with commas between
values() {
    tr -d ' \t\n' <"$1" | sed "s/.*\"$2\":{//; s/}.*//" | tr ',' '\n' | awk -F: -v names="$scores" '
        { gsub(/"/, ""); v[$1] = $2 }
        END { n = split(names, name, " "); for (i = 1; i <= n; i++) printf "%s%s", v[name[i]], i < n ? "," : "\n" }'
}

{
    echo "chapter,steps,seed,$scores" | tr ' ' ','
    for chapter in $chapters; do
        options= steps=
        case $chapter in
            vae) options="--draws 1" ;;
            ddpm) steps=100 options="--steps 100 --bound 0" ;;
            iddpm) steps=50 options="--respace 50 --bound 0" ;;
        esac
        case $chapter in
            ddpm | iddpm) own=${LONG_SEEDS:-1} ;;
            *) own=$seeds ;;
        esac
        for seed in $own; do
            run=$out/$chapter-$seed
            [ -s "$run/metrics.json" ] || "$BUILD/$chapter" eval -q --seed "$seed" --samples "$samples" $options \
                --weights "notebooks-data/$chapter/weights.safetensors" --out "$run" >"$out/log" || exit 1
            echo "$chapter,$steps,$seed,$(values "$run/metrics.json" samples)"
        done
    done
    echo "test images,,,$(values "$out/${chapters%% *}-${seeds%% *}/metrics.json" test_images)"
} >"$out/scores.csv.new" || exit 1
mv "$out/scores.csv.new" "$out/scores.csv"

awk -F, '
    NR == 1 { columns = NF; for (i = 4; i <= NF; i++) name[i] = $i; next }
    { key = $1 "," $2; if (!n[key]++) order[++keys] = key
      for (i = 4; i <= NF; i++) { sum[key, i] += $i; square[key, i] += $i * $i } }
    END {
        line = "chapter,steps,seeds"
        for (i = 4; i <= columns; i++) { short = name[i]; sub(/_distance/, "", short); line = line "," name[i] "," short "_deviation" }
        print line
        for (k = 1; k <= keys; k++) {
            key = order[k]; line = key "," n[key]
            for (i = 4; i <= columns; i++) {
                mean = sum[key, i] / n[key]
                variance = n[key] > 1 ? (square[key, i] - n[key] * mean * mean) / (n[key] - 1) : 0
                line = line sprintf(",%.5g,", mean) (n[key] > 1 ? sprintf("%.3g", sqrt(variance > 0 ? variance : 0)) : "")
            }
            print line
        }
    }' "$out/scores.csv" >"$out/summary.csv"
