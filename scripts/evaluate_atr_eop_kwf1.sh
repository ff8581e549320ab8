#!/usr/bin/env bash
# Evaluate EOPNet on ATR-OS, k-way, fold 1. CHECKPOINT=... names the checkpoint, by default the authors' file.
source "$(dirname "$0")/common.sh"
evaluate atr eop kway 1 data/pretrained_model/atr_kwf1.pth "$@"
