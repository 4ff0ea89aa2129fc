#!/usr/bin/env bash
# The whole story on one machine's CPU: data, tokenizer, base model, instruction tuning, evaluation, report, two answers.
#   SEED=0 RUNS=runs/demo SIZE=full launch/speedrun.sh
# RUNS is runs/demo-seed1 and so on for another seed, unless it is given.
# Each step is a program that turns folders into a folder and reuses finished work, so that an interrupted story goes on
# where it stopped. How far to train is a number of steps, never of seconds: the result is the same on any machine.
# SIZE=smallest runs every step and learns next to nothing: it shows that the parts fit.
set -euo pipefail
cd "$(dirname "$0")/.."

SEED="${SEED:-0}"
if [ "$SEED" = 0 ]; then folder=runs/demo; else folder="runs/demo-seed$SEED"; fi
RUNS="${RUNS:-$folder}"
SIZE="${SIZE:-full}"
PATH="$(cd "${VENV:-.venv}" && pwd)/bin:$PATH"

case "$SIZE" in
  full) base_data=() base=() data=() tuned=() ;;
  smallest)
    base_data=(--gin.EXAMPLES=2000 --gin.TEXT_ITEMS=8)
    base=(--gin.STEPS=20 --gin.SAVE_EVERY=10)
    data=(--gin.EXAMPLES=2000 --gin.ITEMS_PER_TEMPLATE=1 --gin.TEXT_ITEMS=8)
    tuned=(--gin.STEPS=20 --gin.SAVE_EVERY=10)
    ;;
  *) echo "SIZE is '$SIZE'; expected full or smallest" >&2; exit 2 ;;
esac

started=$SECONDS
step() {  # NAME RECIPE FLAGS...
  printf '\n== %s (%d s)\n' "$1" "$((SECONDS - started))"
  instruct-jax --gin_file="gin_configs/recipes/$2.gin" "${@:3}"
}

step "Train a tokenizer on the project's own plain text and instructions" demo_tokenizer \
  --gin.WORKDIR="$RUNS/tokenizer"
step "Prepare plain text for the base model" demo_base_prepare \
  --gin.TOKENIZER="$RUNS/tokenizer" --gin.SEED="$SEED" --gin.WORKDIR="$RUNS/plain_text" "${base_data[@]}"
step "Pretrain the base model" demo_base \
  --gin.DATASET="$RUNS/plain_text" --gin.SEED="$SEED" --gin.WORKDIR="$RUNS/base" "${base[@]}"
step "Prepare instructions, some plain text, and the questions kept back" demo_prepare \
  --gin.TOKENIZER="$RUNS/tokenizer" --gin.SEED="$SEED" --gin.WORKDIR="$RUNS/procedural" "${data[@]}"
step "Tune the base model on them" demo_tune \
  --gin.DATASET="$RUNS/procedural" --gin.INIT_FROM="$RUNS/base" --gin.SEED="$SEED" --gin.WORKDIR="$RUNS/tuned" "${tuned[@]}"
models="['base=$RUNS/base', 'tuned=$RUNS/tuned']"
step "Evaluate both" demo_eval \
  --gin.CHECKPOINT="$models" --gin.DATASET="$RUNS/procedural" --gin.WORKDIR="$RUNS/report"
step "Ask both about datasets that tuning never saw" demo_ask \
  --gin.CHECKPOINT="$models" --gin.DATASET="$RUNS/procedural"
printf '\nThe report is at %s/report/index.html; all of it took %d s.\n' "$RUNS" "$((SECONDS - started))"
