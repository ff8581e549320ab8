#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
evaluate atr eop 1way 1 "$@"
