#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run atr aop kway 2 "$@"
