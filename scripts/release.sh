#!/usr/bin/env bash
# Train the checkpoint that comes with the project, on CCP-OS prepared with --with-tagged; arguments go to both trainings:
# bash scripts/release.sh --amp bf16. Started again, it goes on where it was. docs/model-card.md tells what comes out.
source "$(dirname "$0")/common.sh"
RECIPE=(--dataset ccp --method aop --way kway --fold 0 @scripts/aop.args --pseudo-classes 3 --resume auto "$@")
LABELS=data/datasets/CCP_OS/tagged

# 1. A first training on small photos, which then labels the tagged ones.
"$PYTHON" train.py "${RECIPE[@]}" --crop-size 256 176 --test-size 256 --epochs 10 --run-dir runs/release_first
[ -e runs/release_labelled ] || "$PYTHON" -m tools.label_tagged --checkpoint runs/release_first/last.pt --out "$LABELS"
touch runs/release_labelled

# 2. The training of the release, on labelled and tagged photos.
"$PYTHON" train.py "${RECIPE[@]}" --pretrained runs/release_first/last.pt --tagged "$LABELS" \
    --epochs 12 --zoom 0.8 1.35 --cache-mb 6000 --run-dir runs/release
