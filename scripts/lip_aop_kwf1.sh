#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run lip aop kway 1 "$@"
