#!/usr/bin/env bash
# One training run on every worker of a TPU VM slice. Not run here: written from the documentation.
#   TPU=my-v5p-64 ZONE=us-east5-a launch/tpu_vm.sh --gin_file=gin_configs/recipes/NAME.gin --gin.WORKDIR=/shared/run ...
# WORKDIR and DATASET must lie on a file system that every worker mounts at the same place.
# Copies this checkout to each worker, installs it with the [tpu] extra once, and starts the same command everywhere.
set -euo pipefail
: "${TPU:?name of the TPU VM}" "${ZONE:?its zone}"
cd "$(dirname "$0")/.."

on_all() { gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="$1"; }

git archive --prefix=instruct-jax/ -o /tmp/instruct-jax.tar HEAD
gcloud compute tpus tpu-vm scp /tmp/instruct-jax.tar "$TPU": --zone="$ZONE" --worker=all
on_all 'tar xf instruct-jax.tar && cd instruct-jax && make setup'
# In place and under the pins of `make setup`: the recipes are read from the checkout.
on_all 'cd instruct-jax && version=$(.venv/bin/python -c "import sys; print(\"%d%d\" % sys.version_info[:2])") &&
  .venv/bin/pip install --quiet -c "constraints/py$version.txt" -e ".[tpu]"'
# --distributed: jax finds the coordinator and the number of processes in the slice's metadata.
on_all "cd instruct-jax && .venv/bin/instruct-jax --distributed $(printf '%q ' "$@")"
