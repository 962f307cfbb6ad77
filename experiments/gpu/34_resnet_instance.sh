#!/usr/bin/env bash
# A ResNet-20 on all images, batch size 32, rates chosen on validation images:
# instance norm (W6).
#
#   bash experiments/gpu/34_resnet_instance.sh
#
# new_resnet_instance: 20 members, 0.281 M member-steps: 2 minutes on an H100, 23 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_resnet_instance resnet --norm=instance --batch_size=32 \
  --lr=0.025,0.05,0.1,0.2 --precision=tf32 "$FEW"
