#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run ccp aop kway 2 "$@"
