#!/bin/sh
# sweep.sh [OUT [STEPS]] — what each part of VQ-VAE-2 is worth, on Fashion-MNIST. Writes
#   OUT/levels.csv     reconstructions: two levels (both, the top alone, the bottom alone), one level at the same rate
#   OUT/priors.csv     nats a code on training and held-out codes: attention in no, the top, both priors; no hierarchy
#   OUT/trade.csv      temperature and rejection against the scores
# and trains what is not there yet: STEPS steps of each autoencoder and of each prior.
out=${1:-build/runs/vqvae2-sweep} steps=${2:-3000}
vqvae2=${BUILD:-build}/vqvae2 threads=${THREADS:+--threads $THREADS}
mkdir -p "$out" || exit 1
of() { tr -d '\n\t ' <"$3" | sed "s/.*\"$1\":{\([^}]*\)}.*/\1/; s/.*\"$2\":\([-0-9.e+]*\).*/\1/"; }

trained() {   # DIR STAGE FILE OPTIONS...: trains a stage unless its weights are there
    dir=$1 stage=$2
    shift 2
    grep -q '"finished"' "$dir/$stage-run.json" 2>/dev/null && return
    $vqvae2 train -q $threads --stage "$stage" "$@" --out "$dir" || exit 1
}

# the same rate: 80 codes of 8 bits, or 64 of 10
trained "$out/two" autoencoder --steps "$steps"
trained "$out/one" autoencoder --steps "$steps" --levels 1 --codes 1024
for kind in none top both; do
    trained "$out/$kind" top --attention $kind --top-steps "$steps" --autoencoder "$out/two/autoencoder-weights.safetensors"
    trained "$out/$kind" bottom --attention $kind --bottom-steps "$steps" --autoencoder "$out/two/autoencoder-weights.safetensors"
done
trained "$out/one" bottom --attention top --bottom-steps "$steps" --levels 1 --codes 1024

echo "levels,shown,bits,train,validation,test" >"$out/levels.csv.tmp"
for levels in two one; do
    [ -s "$out/$levels-rebuilt/metrics.json" ] || $vqvae2 eval -q $threads --stage autoencoder \
        --weights "$out/$levels/autoencoder-weights.safetensors" --out "$out/$levels-rebuilt" || exit 1
    m=$out/$levels-rebuilt/metrics.json shown="both top_only bottom_only"
    [ $levels = one ] && shown=both
    for s in $shown; do
        echo "$levels,$s,$(of '[a-z_]*' bits_per_picture "$m"),$(of train "$s" "$m"),$(of validation "$s" "$m"),$(of test "$s" "$m")"
    done
done >>"$out/levels.csv.tmp"
mv "$out/levels.csv.tmp" "$out/levels.csv"

echo "prior,part,top,bottom,other_top,bits" >"$out/priors.csv.tmp"
for kind in none top both one; do
    [ -s "$out/$kind/metrics.json" ] || $vqvae2 eval -q $threads --out "$out/$kind" || exit 1
    for part in train validation test; do
        m=$out/$kind/metrics.json top=$(of $part nats_top "$m") other=$(of $part nats_bottom_of_another_top "$m")
        [ $kind = one ] && top=nan other=nan
        echo "$kind,$part,$top,$(of $part nats_bottom "$m"),$other,$(of $part code_bits_per_picture "$m")"
    done
done >>"$out/priors.csv.tmp"
mv "$out/priors.csv.tmp" "$out/priors.csv"

echo "temperature,keep,frechet_distance,precision,recall,coverage,accuracy" >"$out/trade.csv.tmp"
for setting in 0.5:1 0.7:1 0.85:1 1:1 1.2:1 1:0.5 1:0.25 1:0.1; do
    t=${setting%:*} k=${setting#*:} m=$out/trade-$t-$k/metrics.json
    [ -s "$m" ] || $vqvae2 eval -q $threads --samples 1000 --temperature "$t" --keep "$k" \
        --weights "$out/top/weights.safetensors" --out "$out/trade-$t-$k" || exit 1
    echo "$t,$k,$(of samples frechet_distance "$m"),$(of samples precision "$m"),$(of samples recall "$m"),$(of samples coverage "$m"),$(of samples accuracy "$m")"
done >>"$out/trade.csv.tmp"
mv "$out/trade.csv.tmp" "$out/trade.csv"
