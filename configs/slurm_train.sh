#!/usr/bin/env bash
#SBATCH --job-name=syndrift-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
# Trains on all nodes of the job: sbatch configs/slurm_train.sh CONFIG [OPTIONS of train]
# RANKS is how many on each node: with GPUs as many as those (sbatch --gpus-per-node 4), else one.
# A rank that dies restarts all from the last checkpoint; what ran out of time goes on with the same line.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: sbatch $0 CONFIG [OPTIONS]" >&2; exit 2; }

HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export HEAD
# On each node: the first one is where all meet, under the names that SLURM has for them.
srun bash -c 'torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "${RANKS:-${SLURM_GPUS_ON_NODE:-1}}" \
  --rdzv-backend c10d --rdzv-endpoint "$HEAD:${RDZV_PORT:-29500}" --rdzv-id "$SLURM_JOB_ID" \
  --rdzv-conf "is_host=$((SLURM_NODEID == 0))" --local-addr "$SLURMD_NODENAME" \
  --max-restarts 3 --no-python syndrift train "$@"' syndrift "$@"
