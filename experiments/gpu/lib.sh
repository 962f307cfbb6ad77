# What the scripts of this folder share. Read README.md first.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
if [[ -z ${PYTHON:-} ]]; then
  PYTHON=python3
  [[ ! -x .venv/bin/python ]] || PYTHON=.venv/bin/python
fi
LIMIT=${LIMIT:-510} SCALE=${SCALE:-} SIZE=${SIZE:-} EXTRA=${EXTRA:-}
# A trial has folders of its own, so that nothing takes it for the real run.
folder=runs/gpu${SCALE:+_trial}
OUT=${OUT:-$folder/thin} RUNS=${RUNS:-$folder/whole} DONE=${DONE:-experiments/results}
[[ -z $SCALE ]] || DONE=$OUT
PROCESSES=${PROCESSES:-1}
together=()
if ((PROCESSES > 1)); then
  # The processes share the GPU's memory. What one times says nothing of a GPU that it
  # has for itself, so later commands must not find these times.
  export XLA_PYTHON_CLIENT_PREALLOCATE=false
  XLA_PYTHON_CLIENT_MEM_FRACTION=$(printf "0.%02d" $((90 / PROCESSES)))
  export XLA_PYTHON_CLIENT_MEM_FRACTION
  together=("--compilation_cache=$RUNS/cache")
fi
# Seeds that were not seen before most rules were set.
NEW="--seed=100 --num_seeds=20"
FEW="--seed=100 --num_seeds=5"
left_over=""

# put FLAG ...: adds flags to the array `flags`, in place of earlier values.
put() {
  local new one kept
  for new in "$@"; do
    kept=()
    for one in "${flags[@]}"; do
      [[ ${one%%=*} == "${new%%=*}" ]] || kept+=("$one")
    done
    flags=("${kept[@]}" "$new")
  done
}

# train NAME SECONDS FLAG ...: runs the parts of a sweep at the same time. It fails if one
# of them did not finish.
train() {
  local part parts=() failed=0
  for ((part = 0; part < PROCESSES; part++)); do
    timeout --kill-after=30 "$2" "$PYTHON" -m normlab.sweep "${@:3}" "${together[@]}" \
      --out="$RUNS/$1" --shard="$part/$PROCESSES" &
    parts+=($!)
  done
  for part in "${parts[@]}"; do
    wait "$part" || failed=1
  done
  return "$failed"
}

# sweep NAME FLAGFILE FLAG ...: trains, and puts thin results into $OUT/NAME.
sweep() {
  local name=$1 flags=("--flagfile=experiments/$2.flags") left size
  # Flags come as words that hold several of them, so they are split here.
  # shellcheck disable=SC2048,SC2086
  put ${*:3} $EXTRA
  if [[ -n $SIZE ]]; then
    size=$("$PYTHON" experiments/gpu/size.py "${flags[@]}")
    echo "$name: $size"
    return
  fi
  if [[ -e $OUT/$name/sweep.json || -e $DONE/$name/sweep.json ]]; then
    echo "$name: done before"
    return
  fi
  if [[ -n $SCALE ]]; then
    # shellcheck disable=SC2046
    put $("$PYTHON" experiments/gpu/size.py --scale="$SCALE" "${flags[@]}")
  fi
  left=$((LIMIT - SECONDS))
  if ((left < 20)) || ! train "$name" "$left" "${flags[@]}"; then
    left_over+=" $name"
    return
  fi
  "$PYTHON" -m normlab.store --run="$RUNS/$name" --out="$OUT/$name"
}

finish() {
  local status=$?
  if [[ $status == 0 && -n $left_over ]]; then
    echo "not done:$left_over. Start the same script again: it goes on."
    exit 3
  fi
  exit "$status"
}
trap finish EXIT
