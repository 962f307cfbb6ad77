#!/usr/bin/env bash
# What TF32 and bfloat16 do to losses and accuracies, over 20 seeds. It also says how long
# each cell compiles.
#
#   bash experiments/gpu/01_precision.sh
#
# precision: 120 members, 0.24 M member-steps: 81 s on an H100, 60 minutes on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep precision precision --precision=float32,tf32,bfloat16 --eval_every=100 "$NEW"
