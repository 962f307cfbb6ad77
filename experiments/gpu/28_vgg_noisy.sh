#!/usr/bin/env bash
# A VGG-16 at full size with noise after batch norm (SF2).
#
#   bash experiments/gpu/28_vgg_noisy.sh
#
# new_vgg_noisy: 5 members, 0.075 M member-steps: 4 minutes on an H100, 158 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_vgg_noisy santurkar_vgg --norm=batch_noisy --lr=0.1 --quantities= \
  --weight_decay=0 --precision=tf32 --execution=map "$FEW"
