#!/usr/bin/env bash
# Evaluate EOPNet on LIP-OS, k-way, fold 1. CHECKPOINT=... names the checkpoint, by default the authors' file.
source "$(dirname "$0")/common.sh"
evaluate lip eop kway 1 data/pretrained_model/lip_kwf1.pth "$@"
