#!/bin/sh
# sweep.sh [OUT] — the measurements that need more than one training run. What is there already is not made again.
out=${1:-build/runs/dae_mae-sweep}
dae_mae=${BUILD:-build}/dae_mae
options=${OPTIONS:-}      # for every call, such as OPTIONS="--threads 1"
mkdir -p "$out" || exit 1
number() { sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\(-\{0,1\}[0-9.e+-]*\).*/\1/p" "$2"; }

# ---- part 1: denoising ----
# The convolutional network trained on Gaussian noise, on masks and on nothing, and the paper's with and without masks.
denoiser() {   # NAME OPTIONS...: trains and measures unless that has been done
    dir=$out/$1
    shift
    [ -s "$dir/metrics.json" ] && return
    $dae_mae train -q $options "$@" --out "$dir" || exit 1
    case $dir in
    */dae | */dae-masking) plain=$out/dae-plain/weights.safetensors ;;
    */vincent) plain=$out/vincent-plain/weights.safetensors ;;
    *) plain= ;;
    esac
    $dae_mae sample -q $options --out "$dir" ${plain:+--plain "$plain"} &&
        $dae_mae eval -q $options --out "$dir" ${plain:+--plain "$plain"} || exit 1
}
denoiser dae-plain --config dae --corruption none
denoiser dae --config dae
denoiser dae-masking --config dae --corruption masking
denoiser vincent-plain --config vincent2008 --level 0
denoiser vincent --config vincent2008
# columns: corruption and level; error untouched, repaired by each of the three networks
cut -d, -f4 "$out/dae-masking/denoising.csv" | sed 1s/denoising/masking/ > "$out/masking.column"
sed 1s/denoising/gaussian/ "$out/dae/denoising.csv" | paste -d, - "$out/masking.column" > "$out/dae_denoising.csv"
rm "$out/masking.column"

# ---- part 2: masking ----
# STEPS of pre-training for each network, TUNING steps for its classifier; LABEL_STEPS in the comparison of starts. They
# stand in the folders' names: what was trained for another number is not taken.
steps=${STEPS:-1000} tuning=${TUNING:-300} label_steps=${LABEL_STEPS:-1000}
trained=$out/$steps-steps

pretrained() {   # DIR OPTIONS...: pre-trains and measures
    into=$1
    shift
    [ -s "$into/metrics.json" ] && return
    $dae_mae train -q $options --steps "$steps" --schedule "$steps" "$@" --out "$into" &&
        $dae_mae eval -q $options --out "$into" || exit 1
}

tuned() {   # DIR STEPS OPTIONS...: trains a classifier
    into=$1 tuning_steps=$2
    shift 2
    [ -s "$into/finetune.json" ] && return
    $dae_mae finetune -q $options --batch 64 --finetune-steps "$tuning_steps" "$@" --out "$into" || exit 1
}

echo "ratio,error,probe,finetuned,multiply_adds" > "$out/mask_ratio.csv.tmp"
for percent in 10 25 50 75 85 95; do
    dir=$trained/ratio-$percent
    pretrained "$dir" --mask-ratio "$(echo "$percent" | awk '{ print $1 / 100 }')"
    tuned "$dir/tuned-$tuning" "$tuning" --labels 1000 --weights "$dir/weights.safetensors"
    m=$dir/metrics.json
    echo "$percent,$(number error "$m"),$(number probe_accuracy "$m"),$(number test_accuracy "$dir/tuned-$tuning/finetune.json"),$(number encoder_multiply_adds "$m")" |
        tee -a "$out/mask_ratio.csv.tmp"
done
mv "$out/mask_ratio.csv.tmp" "$out/mask_ratio.csv"

# the encoder that sees visible patches only (of the sweep above), and the one that sees mask tokens, too
echo "encoder,error,probe,finetuned,multiply_adds" > "$out/mask_tokens.csv.tmp"
pretrained "$trained/tokens" --mask-tokens-in-encoder
tuned "$trained/tokens/tuned-$tuning" "$tuning" --labels 1000 --weights "$trained/tokens/weights.safetensors"
for row in visible:ratio-75 tokens:tokens; do
    dir=$trained/${row#*:} m=$trained/${row#*:}/metrics.json
    echo "${row%:*},$(number error "$m"),$(number probe_accuracy "$m"),$(number test_accuracy "$dir/tuned-$tuning/finetune.json"),$(number encoder_multiply_adds "$m")" |
        tee -a "$out/mask_tokens.csv.tmp"
done
mv "$out/mask_tokens.csv.tmp" "$out/mask_tokens.csv"

# targets normalised patch by patch (compare with the row 75 of the first table)
pretrained "$trained/norm-targets" --norm-targets
tuned "$trained/norm-targets/tuned-$tuning" "$tuning" --labels 1000 --weights "$trained/norm-targets/weights.safetensors"
$dae_mae sample -q $options --out "$trained/norm-targets" || exit 1

# Few labels and many: from the reference run's weights if they are there (WEIGHTS), else from the sweep's own. The
# learning rate from scratch is chosen for each number of labels: the one with which seed 1 does best on validation
# images (of three rates; of two with all labels). The pretrained encoder has no such help.
weights=${WEIGHTS:-$trained/ratio-75/weights.safetensors}
label_run() {   # LABELS START LR SEED: trains, and prints its line of the table
    steps_of_it=$label_steps how=--scratch
    [ "$2" = scratch ] || how="--weights $weights"
    [ "$1" != 100 ] || steps_of_it=$(((label_steps * 3 + 9) / 10))     # 192 passes over a hundred pictures are enough
    dir=$trained/labels-$1-$2-$3-$4-$steps_of_it
    tuned "$dir" "$steps_of_it" $how --labels "$1" --finetune-lr "$3" --seed "$4"
    j=$dir/finetune.json
    echo "$(number labels "$j"),$2,$3,$4,$(number validation_accuracy "$j"),$(number test_accuracy "$j")"
}
echo "labels,start,lr,seed,validation,accuracy" > "$out/labels.csv.tmp"
for labels in 100 1000 0; do
    for start in pretrained scratch; do
        rates=0.0005
        [ $start = pretrained ] || rates="0.0005 0.001 0.002"
        [ $labels$start != 0scratch ] || rates="0.0005 0.001"
        : > "$out/rates.tmp"
        for lr in $rates; do label_run $labels $start $lr 1 >> "$out/rates.tmp" || exit 1; done
        best=$(sort -t, -k5,5gr "$out/rates.tmp" | head -n 1 | cut -d, -f3)
        cat "$out/rates.tmp" >> "$out/labels.csv.tmp"
        for seed in 2 3; do label_run $labels $start "$best" $seed >> "$out/labels.csv.tmp" || exit 1; done
    done
done
rm "$out/rates.tmp"
mv "$out/labels.csv.tmp" "$out/labels.csv"
