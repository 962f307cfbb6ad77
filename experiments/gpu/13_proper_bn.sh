#!/usr/bin/env bash
# E1 to E4 as they should have been run, with new seeds (C1p to C4p, B2, B3p, H6).
#
#   bash experiments/gpu/13_proper_bn.sh
#
# new_proper_bn: 80 members, 1.2 M member-steps: 3 minutes on an H100, 4 hours on two CPU cores
# new_proper_bn_10: 40 members, 4 M member-steps: 2 minutes on an H100, 2 hours on two CPU cores
# new_proper_bn_lr: 40 members, 0.8 M member-steps: 2 minutes on an H100, 2 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_proper_bn proper_bn --batch_size=50,100 "$NEW"
sweep new_proper_bn_10 proper_bn --batch_size=10 "$NEW"
sweep new_proper_bn_lr proper_bn_lr "$NEW"
