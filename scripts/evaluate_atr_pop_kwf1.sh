#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
evaluate atr pop kway 1 "$@"
