#!/usr/bin/env bash
# Evaluate POPNet on LIP-OS, 1-way, fold 1. CHECKPOINT=... names the checkpoint, by default the run folder's last one.
source "$(dirname "$0")/common.sh"
evaluate lip pop 1way 1 runs/lip_pop_1way_f1/last.pt "$@"
