#!/usr/bin/env bash
# E1 and E4 as the report ran them, with new seeds (C1, C1t, C3, R1, R4, B3, B10).
#
#   bash experiments/gpu/10_report_bn.sh
#
# new_report_bn: 120 members, 1.8 M member-steps: 5 minutes on an H100, 6 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_report_bn report_bn --batch_size=50,100 "$NEW"
