#!/bin/sh
# sweep.sh [OUT] — the measurements that need more than one training run. What is there already is not made again.
out=${1:-build/runs/dae_mae-sweep}
dae_mae=${BUILD:-build}/dae_mae
mkdir -p "$out" || exit 1
number() { sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\(-\{0,1\}[0-9.e-]*\).*/\1/p" "$2"; }

# ---- part 1: denoising ----

# ---- part 2: masking ----
