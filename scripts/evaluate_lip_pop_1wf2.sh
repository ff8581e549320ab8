#!/usr/bin/env bash
# Evaluate POPNet on LIP-OS, 1-way, fold 2. CHECKPOINT=... names the checkpoint, by default the run folder's last one.
source "$(dirname "$0")/common.sh"
evaluate lip pop 1way 2 runs/lip_pop_1way_f2/last.pt "$@"
