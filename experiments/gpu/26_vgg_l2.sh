#!/usr/bin/env bash
# A VGG-16 at full size with a norm of l2 (SF5).
#
#   bash experiments/gpu/26_vgg_l2.sh
#
# new_vgg_l2: 5 members, 0.075 M member-steps: 4 minutes on an H100, 158 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_vgg_l2 santurkar_vgg --norm=batch_lp --norm_p=2 --lr=0.1 --quantities= \
  --weight_decay=0 --precision=tf32 --execution=map "$FEW"
