#!/usr/bin/env bash
# Evaluate EOPNet on ATR-OS, k-way, fold 2. CHECKPOINT=... names the checkpoint, by default the authors' file.
source "$(dirname "$0")/common.sh"
evaluate atr eop kway 2 data/pretrained_model/atr_kwf2.pth "$@"
