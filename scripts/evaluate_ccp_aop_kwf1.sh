#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
evaluate ccp aop kway 1 "$@"
