#!/usr/bin/env bash
# CIFAR-10 for a machine without a network, in parts of at most 55 MiB.
#
#   bash experiments/gpu/00_data.sh pack    where the data is: writes experiments/gpu/parts/
#   bash experiments/gpu/00_data.sh keep    on the other machine, after each part arrived
#
# "keep" moves the parts that are there to a folder of their own, so that the next part
# can take their place. When all are there, it unpacks and checks them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
data=${NORMLAB_DATA_DIR:-$HOME/.cache/normlab}
kept=${KEPT:-$HOME/normlab_parts}
case ${1:-} in
pack)
  rm -rf parts && mkdir parts
  tar -C "$data" -czf - cifar10 | split -b 55M -d -a 1 - parts/part.
  (cd parts && sha256sum part.* >SHA256 && ls -l)
  ;;
keep)
  mkdir -p "$kept"
  cp -f parts/* "$kept"/
  cd "$kept"
  if sha256sum --quiet -c SHA256 2>/dev/null; then
    mkdir -p "$data" && cat part.* | tar -C "$data" -xzf -
    echo "CIFAR-10 is in $data/cifar10"
  else
    echo "not all parts are here yet: $(echo part.*)"
  fi
  ;;
*)
  sed -n '2,8s/^# \{0,1\}//p' "$(basename "$0")"
  exit 1
  ;;
esac
