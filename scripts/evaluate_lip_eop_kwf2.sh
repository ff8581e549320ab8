#!/usr/bin/env bash
# Evaluate EOPNet on LIP-OS, k-way, fold 2. CHECKPOINT=... names the checkpoint, by default the authors' file.
source "$(dirname "$0")/common.sh"
evaluate lip eop kway 2 data/pretrained_model/lip_kwf2.pth "$@"
