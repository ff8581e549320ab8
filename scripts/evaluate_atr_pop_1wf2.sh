#!/usr/bin/env bash
# Evaluate POPNet on ATR-OS, 1-way, fold 2. CHECKPOINT=... names the checkpoint, by default the run folder's last one.
source "$(dirname "$0")/common.sh"
evaluate atr pop 1way 2 runs/atr_pop_1way_f2/last.pt "$@"
