#!/bin/sh
# sweep.sh [OUT [STEPS]] — what each part of VQ-VAE-2 is worth, on Fashion-MNIST. Writes
#   OUT/levels.csv     reconstructions: two levels (both, the top alone, the bottom alone), one level at the same rate
#   OUT/priors.csv     nats a code on training and held-out codes: attention in no, the top, both priors; no hierarchy
#   OUT/trade.csv      temperature and rejection against the scores, of WEIGHTS if given (the reference run's, say)
# and trains what is not there yet: STEPS steps of each autoencoder and of each prior.
out=${1:-build/runs/vqvae2-sweep} steps=${2:-3000}
vqvae2=${BUILD:-build}/vqvae2 threads=${THREADS:+--threads $THREADS}
nets=$out/$steps                           # networks of as many steps
mkdir -p "$nets" || exit 1
. "$(dirname "$0")/../../../common/eval/metrics.sh"

trained() {   # DIR STAGE FILE OPTIONS...: trains a stage unless its weights are there
    dir=$1 stage=$2
    shift 2
    grep -q '"finished"' "$dir/$stage-run.json" 2>/dev/null && return
    $vqvae2 train -q $threads --stage "$stage" "$@" --out "$dir" || exit 1
}

# the same rate: 80 codes of 8 bits, or 64 of 10
trained "$nets/two" autoencoder --steps "$steps"
trained "$nets/one" autoencoder --steps "$steps" --levels 1 --codes 1024
for kind in none top both; do
    trained "$nets/$kind" top --attention $kind --top-steps "$steps" --autoencoder "$nets/two/autoencoder-weights.safetensors"
    trained "$nets/$kind" bottom --attention $kind --bottom-steps "$steps" --autoencoder "$nets/two/autoencoder-weights.safetensors"
done
trained "$nets/one" bottom --attention top --bottom-steps "$steps" --levels 1 --codes 1024

echo "levels,shown,bits,train,validation,test" >"$out/levels.csv.tmp"
for levels in two one; do
    [ -s "$nets/$levels-rebuilt/metrics.json" ] || $vqvae2 eval -q $threads --stage autoencoder \
        --weights "$nets/$levels/autoencoder-weights.safetensors" --out "$nets/$levels-rebuilt" || exit 1
    m=$nets/$levels-rebuilt/metrics.json shown="both top_only bottom_only"
    [ $levels = one ] && shown=both
    for s in $shown; do
        echo "$levels,$s,$(outer bits_per_picture "$m"),$(of train "$s" "$m"),$(of validation "$s" "$m"),$(of test "$s" "$m")"
    done
done >>"$out/levels.csv.tmp"
mv "$out/levels.csv.tmp" "$out/levels.csv"

# bits a picture, and nats a code
echo "prior,train,validation,test,top_train,top_test,bottom_train,bottom_test,bottom_other_top" >"$out/priors.csv.tmp"
for kind in none top both one; do
    m=$nets/$kind/metrics.json
    [ -s "$m" ] || $vqvae2 eval -q $threads --out "$nets/$kind" || exit 1
    row=$kind
    for part in train validation test; do row=$row,$(of $part code_bits_per_picture "$m"); done
    row=$row,$(of train nats_top "$m"),$(of test nats_top "$m"),$(of train nats_bottom "$m")
    echo "$row,$(of test nats_bottom "$m"),$(of test nats_bottom_of_another_top "$m")"
done >>"$out/priors.csv.tmp"
mv "$out/priors.csv.tmp" "$out/priors.csv"

weights=${WEIGHTS:-$nets/top/weights.safetensors}
echo "temperature,keep,frechet_distance,precision,recall,coverage,accuracy" >"$out/trade.csv.tmp"
for setting in 0.5:1 0.7:1 0.85:1 1:1 1.2:1 1:0.5 1:0.25 1:0.1; do
    t=${setting%:*} k=${setting#*:} m=$out/trade-$t-$k/metrics.json
    fresh "$m" "$weights" || $vqvae2 eval -q $threads --samples 1000 --temperature "$t" --keep "$k" \
        --weights "$weights" --out "$out/trade-$t-$k" || exit 1
    echo "$t,$k,$(of samples frechet_distance "$m"),$(of samples precision "$m"),$(of samples recall "$m"),$(of samples coverage "$m"),$(of samples intended_class_accuracy "$m")"
done >>"$out/trade.csv.tmp"
mv "$out/trade.csv.tmp" "$out/trade.csv"
