#!/bin/sh
# sweep.sh [OUT] — what guidance does, and what each part of the network is worth, on Fashion-MNIST. Writes
#   OUT/tradeoff.csv   network,scale,sampler,respace,samples,seed,accuracy,frechet_distance,precision,recall,coverage,
#                      inception_score,seconds_a_picture: pictures of WEIGHTS, and of CONDITIONAL if that is there,
#                      against the scale; accuracy is by an evaluator that did not guide
#   OUT/tradeoff-means.csv   of the seeds: mean and standard deviation
#   OUT/steps.csv      the same columns: scale 1 (and 0) in more and in fewer steps
#   OUT/ablation.csv   network,steps,seed,parameters,seconds_a_step,validation,frechet_distance,precision,recall,
#                      coverage: networks of their own, each the base but for one part
# and draws or trains what is not there yet. From the environment:
#   WEIGHTS      trained by the chapter's default (build/runs/guidance/diffusion-weights.safetensors), with the
#                classifier beside it
#   CONDITIONAL  with --conditional (build/runs/guidance-conditional/diffusion-weights.safetensors)
#   SAMPLES      pictures to score in each row (1000)   SCALES   ("0 0.5 1 2 4 8")
#   SEEDS        of the pictures, and of the networks for ablation.csv ("1 2 3")
#   LENGTHS      steps back for steps.csv ("10 25 50 100")
#   STEPS        training steps of each network for ablation.csv (2000; 0: none)
#   THREADS      of the program (all processors)        BUILD    where the program is (build)
out=${1:-build/runs/guidance-sweep} samples=${SAMPLES:-1000} steps=${STEPS:-2000} seeds=${SEEDS:-1 2 3}
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

echo $columns >"$out/tradeoff.csv.tmp"
for scale in ${SCALES:-0 0.5 1 2 4 8}; do
    for seed in $seeds; do
        row unconditional "$weights" "$scale" ancestral 25 "$seed" || exit 1
        [ ! -s "$conditional" ] || row conditional "$conditional" "$scale" ancestral 25 "$seed" || exit 1
    done
done >>"$out/tradeoff.csv.tmp" || exit 1
mv "$out/tradeoff.csv.tmp" "$out/tradeoff.csv"
means "$out/tradeoff.csv" >"$out/tradeoff-means.csv"

echo $columns >"$out/steps.csv.tmp"
for n in ${LENGTHS:-10 25 50 100}; do
    for scale in 0 1; do
        row unconditional "$weights" $scale ancestral "$n" 1 || exit 1
        row unconditional "$weights" $scale ddim "ddim$n" 1 || exit 1
    done
done >>"$out/steps.csv.tmp" || exit 1
mv "$out/steps.csv.tmp" "$out/steps.csv"

# ---- networks of their own ------------------------------------------------------------------------------

[ "$steps" = 0 ] && exit
echo network,steps,seed,parameters,seconds_a_step,validation,frechet_distance,precision,recall,coverage >"$out/ablation.csv.tmp"
while read -r name options; do
    for seed in $seeds; do
        dir=$out/$name-$steps-$seed
        if ! grep -q '"finished"' "$dir/diffusion-run.json" 2>/dev/null; then
            resume=
            [ -s "$dir/diffusion-checkpoint.safetensors" ] && resume=--resume
            [ "$resume" ] && options=
            $guidance train -q $threads --stage diffusion --steps "$steps" --seed "$seed" --preview 0 $options $resume \
                --out "$dir" </dev/null || exit 1
        fi
        m=$dir/scores-$samples/metrics.json
        fresh "$m" "$dir/diffusion-weights.safetensors" || $guidance eval -q $threads --respace 50 --samples "$samples" \
            --weights "$dir/diffusion-weights.safetensors" --out "$(dirname "$m")" </dev/null || exit 1
        line=$name,$steps,$seed,$(outer parameters "$m")
        line=$line,$(awk -F, 'END { print $2 / $1 }' "$dir/diffusion-log.csv")
        line=$line,$(awk -F, '$9 != "" { last = $9 } END { print last }' "$dir/diffusion-log.csv")
        for key in frechet_distance precision recall coverage; do line=$line,$(of samples $key "$m"); done
        echo "$line"
    done
done >>"$out/ablation.csv.tmp" <<END || exit 1
base
add --embedding add
one-head --head-channels 64
attention-7 --attention 7
no-attention --attention none
conv --resampling conv
deep --blocks 2
wide --width 64
END
mv "$out/ablation.csv.tmp" "$out/ablation.csv"
