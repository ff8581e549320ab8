#!/usr/bin/env bash
# Evaluate EOPNet on ATR-OS, 1-way, fold 2. CHECKPOINT=... names the checkpoint, by default the authors' file.
source "$(dirname "$0")/common.sh"
evaluate atr eop 1way 2 data/pretrained_model/atr_1wf2.pth "$@"
