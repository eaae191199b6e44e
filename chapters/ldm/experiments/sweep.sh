#!/bin/sh
# sweep.sh [OUT] — what the size of latents, the kind of first stage, guidance and samplers are worth, on the wardrobe.
# Writes
#   OUT/factors.csv   factor,codes,parameters,first_seconds,seconds,seconds_a_picture,psnr,frechet,whole: text to image by
#                     networks of their own, from pixels (1) to latents an eighth of the side, KL and, at 4, VQ; seconds
#                     of training the first stage and diffusion. Each has a U-Net of its own.
#   OUT/contexts.csv  context,text,seconds,seconds_a_picture,frechet,whole: texts attended to, or summed up in one token;
#                     read by CLIP, or by a transformer of the U-Net's own; on one first stage
#   OUT/steps.csv     sampler,steps,seconds_a_picture,frechet,whole: pictures of WEIGHTS
#   OUT/scales.csv    scale,frechet,whole: the same, by guidance scale
# frechet: distance in the caption evaluator's features; whole: share of the pictures that show what their captions
# say. Trains and draws what is not there yet. From the environment:
#   WEIGHTS   trained by the chapter's default (build/runs/ldm/weights.safetensors)
#   SAMPLES   pictures to score in each row (900, of which two thirds show seen combinations)
#   STEPS, DIFFUSION_STEPS   training steps of each pair of networks (the program's defaults, 8000 and 30000)
#   THREADS   of the program (all processors)     BUILD   where the program is (build)
out=${1:-build/runs/ldm-sweep} samples=${SAMPLES:-900}
weights=${WEIGHTS:-build/runs/ldm/weights.safetensors}
ldm=${BUILD:-build}/ldm threads=${THREADS:+--threads $THREADS}
mkdir -p "$out" || exit 1
. "$(dirname "$0")/../../../common/eval/metrics.sh"

# score FOLDER WEIGHTS OPTIONS...: metrics.json in the folder
score() {
    dir=$1 of=$2
    shift 2
    fresh "$dir/metrics.json" "$of" || $ldm eval -q $threads --weights "$of" --samples "$samples" "$@" --out "$dir" || exit 1
}

# trained FOLDER OPTIONS...: networks in the folder; what was interrupted goes on
trained() {
    run=$1
    shift
    for stage in autoencoder diffusion; do
        case "$stage $*" in autoencoder*--autoencoder* | "autoencoder --factor 1 "*) continue ;; esac
        grep -q '"finished"' "$run/$stage-run.json" 2>/dev/null && continue
        resume=; [ ! -e "$run/$stage-checkpoint.safetensors" ] || resume=--resume
        $ldm train -q $threads --stage $stage $resume --preview 0 "$@" --out "$run" || exit 1
    done
}

steps=${STEPS:-8000} diffusion="--diffusion-steps ${DIFFUSION_STEPS:-30000}"
echo "factor,codes,parameters,first_seconds,seconds,seconds_a_picture,psnr,frechet,whole" >"$out/factors.csv.tmp"
for row in 1:0 2:0 4:0 4:1024 8:0; do
    factor=${row%%:*} codes=${row#*:} psnr=nan seconds=0
    run=$out/factor-$factor-$codes
    trained "$run" --factor "$factor" --codes "$codes" --steps "$steps" \
        --disc-start $((steps / 2)) $diffusion
    if [ "$factor" != 1 ]; then
        score "$run/first" "$run/autoencoder-weights.safetensors" --stage autoencoder
        psnr=$(outer psnr "$run/first/metrics.json") seconds=$(outer wall_seconds "$run/autoencoder-run.json")
    fi
    score "$run/pictures" "$run/weights.safetensors"
    m=$run/pictures/metrics.json
    echo "$factor,$codes,$(outer parameters "$m"),$seconds,$(outer wall_seconds "$run/diffusion-run.json"),$(outer seconds_a_picture "$m"),$psnr,$(outer frechet_distance "$m"),$(outer caption_whole "$m")"
done >>"$out/factors.csv.tmp"
mv "$out/factors.csv.tmp" "$out/factors.csv"

echo "context,text,seconds,seconds_a_picture,frechet,whole" >"$out/contexts.csv.tmp"
for pair in attended:clip pooled:clip attended:learned; do
    context=${pair%:*} text=${pair#*:} run=$out/$context-$text
    [ $pair != attended:clip ] || run=$out/factor-4-0
    [ $pair = attended:clip ] || trained "$run" --autoencoder "$out/factor-4-0/autoencoder-weights.safetensors" \
        --context $context --text $text $diffusion
    m=$run/pictures/metrics.json
    score "$run/pictures" "$run/weights.safetensors"
    echo "$context,$text,$(outer wall_seconds "$run/diffusion-run.json"),$(outer seconds_a_picture "$m"),$(outer frechet_distance "$m"),$(outer caption_whole "$m")"
done >>"$out/contexts.csv.tmp"
mv "$out/contexts.csv.tmp" "$out/contexts.csv"

echo "sampler,steps,seconds_a_picture,frechet,whole" >"$out/steps.csv.tmp"
for sampler in plms ddim ancestral; do
    for n in 10 20 50 100; do
        dir=$out/steps-$sampler-$n
        score "$dir" "$weights" --sampler $sampler --steps $n
        m=$dir/metrics.json
        echo "$sampler,$n,$(outer seconds_a_picture "$m"),$(outer frechet_distance "$m"),$(outer caption_whole "$m")"
    done
done >>"$out/steps.csv.tmp"
mv "$out/steps.csv.tmp" "$out/steps.csv"

echo "scale,frechet,whole" >"$out/scales.csv.tmp"
for scale in 1 1.5 2 3 5 8; do
    dir=$out/scale-$scale
    score "$dir" "$weights" --scale $scale
    m=$dir/metrics.json
    echo "$scale,$(outer frechet_distance "$m"),$(outer caption_whole "$m")"
done >>"$out/scales.csv.tmp"
mv "$out/scales.csv.tmp" "$out/scales.csv"
