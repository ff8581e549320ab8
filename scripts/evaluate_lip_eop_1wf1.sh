#!/usr/bin/env bash
# Evaluate EOPNet on LIP-OS, 1-way, fold 1. CHECKPOINT=... names the checkpoint, by default the authors' file.
source "$(dirname "$0")/common.sh"
evaluate lip eop 1way 1 data/pretrained_model/lip_1wf1.pth "$@"
