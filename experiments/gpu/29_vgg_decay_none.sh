#!/usr/bin/env bash
# A VGG-16 at full size with weight decay: none (H6d).
#
#   bash experiments/gpu/29_vgg_decay_none.sh
#
# new_vgg_decay_none: 5 members, 0.075 M member-steps: 4 minutes on an H100, 158 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_vgg_decay_none santurkar_vgg --norm=none --lr=0.1 --quantities= \
  --weight_decay=5e-4 --precision=tf32 --execution=map "$FEW"
