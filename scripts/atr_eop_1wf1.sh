#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run atr eop 1way 1 "$@"
