#!/usr/bin/env bash
# A ResNet-20 on all images, batch size 2, rates chosen on validation images (W3 to
# W5). It stops in time: start it until it says that all is done before.
#
#   bash experiments/gpu/36_resnet_2.sh
#
# new_resnet_2_batch_0.00625: 5 members, 1.12 M member-steps: 7 minutes on an H100, 10 hours on two CPU cores
# new_resnet_2_group_0.00625: 5 members, 1.12 M member-steps: 7 minutes on an H100, 10 hours on two CPU cores
# new_resnet_2_batch_0.003125: 5 members, 1.12 M member-steps: 7 minutes on an H100, 10 hours on two CPU cores
# new_resnet_2_group_0.003125: 5 members, 1.12 M member-steps: 7 minutes on an H100, 10 hours on two CPU cores
# new_resnet_2_batch_0.0125: 5 members, 1.12 M member-steps: 7 minutes on an H100, 10 hours on two CPU cores
# new_resnet_2_group_0.0125: 5 members, 1.12 M member-steps: 7 minutes on an H100, 10 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
for rate in 0.00625 0.003125 0.0125; do
  for norm in batch group; do
    sweep new_resnet_2_${norm}_$rate resnet --norm=$norm --batch_size=2 --lr=$rate \
      --precision=tf32 "$FEW"
  done
done
