#!/bin/sh
# Measure the networks on a GPU: correctness of each stage against fp32, its speed in batches of
# 1, 4 and 8, and the speed of whole frames. Needs torch, transformers, opencv and scipy only.
#
#   benchmarks/gpu.sh [FOLDER]    writes gpu_*.json into FOLDER (default: the current folder)
set -eu
folder=$(realpath "${1:-.}")
cd "$(dirname "$0")/.."
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
measure() {
    name=$1
    shift
    echo "== $name"
    python3 -m robot_perception bench networks --device cuda --precision fp32 bf16 fp16 \
        --json "$folder/gpu_$name.json" "$@"
}
measure robot --preset robot --batch 1 4 8 --frames 20 --against reference
measure robot_parallel --preset robot --precision fp16 --frames 200 --set parallel=true
measure cpu --preset cpu --precision fp32 fp16 --frames 30
