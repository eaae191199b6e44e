#!/bin/sh
# sweep.sh [OUT] — the measurements that need more than one training run. What is there already is not made again.
out=${1:-build/runs/dae_mae-sweep}
dae_mae=${BUILD:-build}/dae_mae
mkdir -p "$out" || exit 1
number() { sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\(-\{0,1\}[0-9.e-]*\).*/\1/p" "$2"; }

# ---- part 1: denoising ----
# The convolutional network trained on Gaussian noise, on masks and on nothing, and the paper's with and without masks.
denoiser() {   # NAME OPTIONS...: trains and measures unless that has been done
    dir=$out/$1
    shift
    [ -s "$dir/metrics.json" ] && return
    $dae_mae train -q "$@" --out "$dir" || exit 1
    case $dir in
    */dae | */dae-masking) plain=$out/dae-plain/weights.safetensors ;;
    */vincent) plain=$out/vincent-plain/weights.safetensors ;;
    *) plain= ;;
    esac
    $dae_mae sample -q --out "$dir" ${plain:+--plain "$plain"} &&
        $dae_mae eval -q --out "$dir" ${plain:+--plain "$plain"} || exit 1
}
denoiser dae-plain --config dae --corruption none
denoiser dae --config dae
denoiser dae-masking --config dae --corruption masking
denoiser vincent-plain --config vincent2008 --level 0
denoiser vincent --config vincent2008
# columns: what was spoilt and how much; error untouched, repaired by each of the three networks
cut -d, -f4 "$out/dae-masking/denoising.csv" | sed 1s/denoising/masking/ > "$out/masking.column"
sed 1s/denoising/gaussian/ "$out/dae/denoising.csv" | paste -d, - "$out/masking.column" > "$out/dae_denoising.csv"
rm "$out/masking.column"

# ---- part 2: masking ----
