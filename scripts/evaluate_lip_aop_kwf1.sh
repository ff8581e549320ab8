#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
evaluate lip aop kway 1 "$@"
