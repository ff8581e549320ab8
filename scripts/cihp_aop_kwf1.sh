#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run cihp aop kway 1 "$@"
