#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
evaluate cihp aop kway 2 "$@"
