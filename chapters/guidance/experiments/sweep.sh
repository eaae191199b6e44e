#!/bin/sh
# sweep.sh [OUT] — what guidance does, and what each part of the network is worth, on Fashion-MNIST. Writes
#   OUT/tradeoff.csv   network,scale,sampler,respace,samples,seed,accuracy,frechet_distance,precision,recall,coverage,
#                      inception_score,seconds_a_picture: pictures of WEIGHTS, and of CONDITIONAL if that is there,
#                      against the scale; accuracy is by an evaluator that did not guide
#   OUT/tradeoff-means.csv   of the seeds: mean and standard deviation
#   OUT/steps.csv      the same columns: scale 4 (and 0) in more and in fewer steps
#   OUT/ablation.csv   network,steps,seed,parameters,seconds_a_step,validation,frechet_distance,precision,recall,
#                      coverage: networks of their own, each the base but for one part
#   OUT/ablation-means.csv   of the seeds: mean and standard deviation
# and draws or trains what is not there yet. From the environment:
#   WEIGHTS      trained by the chapter's default (build/runs/guidance/diffusion-weights.safetensors), with the
#                classifier beside it
#   CONDITIONAL  with --conditional (build/runs/guidance-conditional/diffusion-weights.safetensors)
#   SAMPLES      pictures to score in each row (1000)   SCALES   ("0 0.5 1 2 4 8")
#   SEEDS        of the pictures, and of the networks for ablation.csv ("1 2 3")
#   LENGTHS      sampling steps for steps.csv ("10 25 50 100")
#   STEPS        training steps of each network for ablation.csv (1000)
#   NETWORKS     which of them to train (all); ablation.csv has a row for each that is trained
#   THREADS      of the program (all processors)        BUILD    where the program is (build)
# An empty list skips its file: SCALES= LENGTHS= make sweep-guidance trains networks alone.
out=${1:-build/runs/guidance-sweep} samples=${SAMPLES:-1000} steps=${STEPS:-1000} seeds=${SEEDS:-1 2 3}
weights=${WEIGHTS:-build/runs/guidance/diffusion-weights.safetensors}
conditional=${CONDITIONAL:-build/runs/guidance-conditional/diffusion-weights.safetensors}
classifier=$(dirname "$weights")/classifier-weights.safetensors
guidance=${BUILD:-build}/guidance threads=${THREADS:+--threads $THREADS}
mkdir -p "$out" || exit 1
. "$(dirname "$0")/../../../common/eval/metrics.sh"

# ---- pictures of trained networks -----------------------------------------------------------------------

columns=network,scale,sampler,respace,samples,seed,accuracy,frechet_distance,precision,recall,coverage,inception_score,seconds_a_picture

# row NETWORK FILE SCALE SAMPLER RESPACE SEED: draws and scores, unless that has been done
row() {
    dir=$out/$1-$3-$4-$5-$6-$samples m=$out/$1-$3-$4-$5-$6-$samples/metrics.json
    { fresh "$m" "$2" && fresh "$m" "$classifier"; } || $guidance eval -q $threads --weights "$2" --classifier "$classifier" --scale "$3" \
        --sampler "$4" --respace "$5" --seed "$6" --samples "$samples" --out "$dir" || exit 1
    line=$1,$3,$4,$5,$samples,$6
    for key in intended_class_accuracy frechet_distance precision recall coverage inception_score; do
        line=$line,$(of samples $key "$m")
    done
    echo "$line,$(outer seconds_a_picture "$m")"
}

if [ "${SCALES-all}" ]; then
    echo $columns >"$out/tradeoff.csv.tmp"
    for scale in ${SCALES-0 0.5 1 2 4 8}; do
        for seed in $seeds; do
            row unconditional "$weights" "$scale" ancestral 25 "$seed" || exit 1
            [ ! -s "$conditional" ] || row conditional "$conditional" "$scale" ancestral 25 "$seed" || exit 1
        done
    done >>"$out/tradeoff.csv.tmp" || exit 1
    mv "$out/tradeoff.csv.tmp" "$out/tradeoff.csv"
    means "$out/tradeoff.csv" >"$out/tradeoff-means.csv"
fi

if [ "${LENGTHS-all}" ]; then
    echo $columns >"$out/steps.csv.tmp"
    for n in ${LENGTHS-10 25 50 100}; do
        for scale in 0 4; do
            row unconditional "$weights" $scale ancestral "$n" 1 || exit 1
            row unconditional "$weights" $scale ddim "ddim$n" 1 || exit 1
        done
    done >>"$out/steps.csv.tmp" || exit 1
    mv "$out/steps.csv.tmp" "$out/steps.csv"
fi

# ---- networks of their own ------------------------------------------------------------------------------

# options NAME: what differs from the base
options() {
    case $1 in
    base) ;;
    add) echo --embedding add ;;
    one-head) echo --head-channels 64 ;;
    attention-7) echo --attention 7 ;;
    no-attention) echo --attention none ;;
    conv) echo --resampling conv ;;
    deep) echo --blocks 2 ;;
    wide) echo --width 64 ;;
    *) echo "$1: NETWORKS are $all" >&2 && return 1 ;;
    esac
}
all="base add one-head attention-7 no-attention conv deep wide"
finished() { grep -q '"finished"' "$1/diffusion-run.json" 2>/dev/null; }

for name in ${NETWORKS-$all}; do
    differs=$(options "$name") || exit 1
    for seed in $seeds; do
        dir=$out/$name-$steps-$seed
        if ! finished "$dir"; then
            args=$differs
            [ -s "$dir/diffusion-checkpoint.safetensors" ] && args=--resume
            $guidance train -q $threads --stage diffusion --steps "$steps" --seed "$seed" --preview 0 $args \
                --out "$dir" || exit 1
        fi
        m=$dir/scores-$samples/metrics.json
        fresh "$m" "$dir/diffusion-weights.safetensors" || $guidance eval -q $threads --respace 25 --samples "$samples" \
            --weights "$dir/diffusion-weights.safetensors" --out "$(dirname "$m")" || exit 1
    done
done

for name in $all; do
    for dir in "$out/$name-$steps"-*; do
        m=$dir/scores-$samples/metrics.json
        { finished "$dir" && [ -s "$m" ]; } || continue
        line=$name,$steps,${dir##*-},$(outer parameters "$m")
        line=$line,$(awk -F, 'END { print $2 / $1 }' "$dir/diffusion-log.csv")
        line=$line,$(awk -F, '$9 != "" { last = $9 } END { print last }' "$dir/diffusion-log.csv")
        for key in frechet_distance precision recall coverage; do line=$line,$(of samples $key "$m"); done
        echo "$line"
    done
done >"$out/ablation.rows"
if [ -s "$out/ablation.rows" ]; then
    { echo network,steps,seed,parameters,seconds_a_step,validation,frechet_distance,precision,recall,coverage
      cat "$out/ablation.rows"; } >"$out/ablation.csv"
    means "$out/ablation.csv" >"$out/ablation-means.csv"
fi
rm "$out/ablation.rows"
