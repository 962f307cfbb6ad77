#!/usr/bin/env bash
# E5 to E7, both ways, with new seeds (C4 to C7, C11, R5 to R7).
#
#   bash experiments/gpu/12_group_norm.sh
#
# new_report_gn: 80 members, 1.6 M member-steps: 3 minutes on an H100, 4 hours on two CPU cores
# new_proper_gn: 80 members, 1.6 M member-steps: 3 minutes on an H100, 3 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_report_gn report_gn "$NEW"
sweep new_proper_gn proper_gn "$NEW"
