#!/usr/bin/env bash
# Evaluate POPNet on LIP-OS, k-way, fold 1. CHECKPOINT=... names the checkpoint, by default the run folder's last one.
source "$(dirname "$0")/common.sh"
evaluate lip pop kway 1 runs/lip_pop_kway_f1/last.pt "$@"
