#!/usr/bin/env bash
# The runs at the write-up's scale that are still missing, the most wanted first, on a machine with one GPU.
#
#     CIFARLIB_DATA=… CIFARLIB_WEIGHTS=… CIFARLIB_RUNS=… scripts/campaign.sh [BUDGET [BACKBONE …]]
#
# CIFARLIB_WEIGHTS holds the ResNets' ImageNet weights at He's scale (scripts/rescale_weights.py). Runs that are in
# CIFARLIB_RUNS already are passed over, so it can be stopped and called again. With a small budget and net it is a
# rehearsal: scripts/campaign.sh smoke test_resnet
set -u
cd "$(dirname "$0")/.."
export NO_ALBUMENTATIONS_UPDATE=1 HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
budget=${1:-writeup}
shift $(($# > 0))
if [ $# -gt 0 ]; then
    compared=("$@") tuned=() residual=("$@") light=("$@")
else
    compared=(SE-ResNeXt50 ResNet50 EfficientNet_b0 ResNet18)
    tuned=(ResNet18 ResNet50 EfficientNet_lite0)
    residual=(ResNet50 SE-ResNeXt50)
    light=(EfficientNet_lite0)
fi

grid() {
    echo "== $(date -u +%T) grid $*"
    python3 -m cifarlib grid --budget "$budget" "$@"
    echo "== $(date -u +%T) ended with $?"
}

# no record is made with an engine that was not compared with the eager one on this very machine
python3 scripts/compare_engines.py || export CIFARLIB_ENGINE=eager

# from scratch; those that are published are not made again
grid --init scratch --backbone "${compared[@]}" --jobs 8

# fine-tuned; published ones may be of weights at another scale and are not to be taken for these
export CIFARLIB_RECORDS=none
if [ ${#tuned[@]} -gt 0 ]; then
    grid --init imagenet --backbone "${tuned[@]}" --jobs 9
    grid --init imagenet --backbone "${tuned[@]}" --lr 1e-3 --jobs 9
fi
unset CIFARLIB_RECORDS

# made for small pictures, and then more seeds
small=(--init scratch --image-size 32 --stem cifar --policy natural --recipe onecycle)
grid "${small[@]}" --backbone "${residual[@]}" --jobs 2
grid --init scratch --backbone "${light[@]}" --jobs 3
for seed in 1 2; do
    grid --init scratch --image-size 32 --backbone "${residual[@]}" --seed "$seed" --jobs 2
done
echo "== $(date -u +%T) campaign done"
