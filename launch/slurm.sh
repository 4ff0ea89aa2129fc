#!/usr/bin/env bash
# One training run over the nodes of a Slurm job, one process a GPU. Not run here: written from the documentation.
#   sbatch --nodes=4 launch/slurm.sh --gin_file=gin_configs/recipes/NAME.gin --gin.WORKDIR=/shared/run ...
#SBATCH --job-name=instruct-jax
#SBATCH --gpus-per-node=8
#SBATCH --ntasks-per-node=8
#SBATCH --output=%x-%j.log
#SBATCH --signal=TERM@120
set -euo pipefail
# WORKDIR must lie on a file system that all nodes share. SIGTERM, sent 120 s before the limit, saves; resubmit to go on.
# --distributed: jax finds the coordinator, the processes and each one's GPU in Slurm's environment.
srun --kill-on-bad-exit=1 "${VENV:-.venv}/bin/instruct-jax" --distributed "$@"
