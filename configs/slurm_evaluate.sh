#!/usr/bin/env bash
#SBATCH --job-name=syndrift-evaluate
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
# Counts a sweep on all nodes of the job: sbatch configs/slurm_evaluate.sh CONFIG [OPTIONS of evaluate]
# Ray begins on each node, and the driver on the first; nodes that come later, or go, are no matter.
# A job that ran out of time goes on with the same line.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: sbatch $0 CONFIG [OPTIONS]" >&2; exit 2; }

nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(echo "$nodes" | head -n 1)
address=$(getent ahostsv4 "$head" | awk 'NR == 1 { print $1 }')
cores=${SLURM_CPUS_PER_TASK:-1}
port=${RAY_PORT:-6379}
# Nobody else on the network can join: the token is this job's alone.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
one="--nodes=1 --ntasks=1 --overlap"  # a step of one node

srun $one -w "$head" ray start --head --block --node-ip-address="$address" --port="$port" \
  --num-cpus="$cores" --include-dashboard=false >/dev/null &
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
until srun $one -w "$head" ray status --address="$address:$port" >/dev/null 2>&1; do
  kill -0 $! 2>/dev/null || { echo "Ray did not begin on $head" >&2; exit 1; }
  sleep 1
done
for node in $(echo "$nodes" | tail -n +2); do
  srun $one -w "$node" ray start --block --address="$address:$port" --num-cpus="$cores" >/dev/null &
done

srun $one -w "$head" env RAY_ADDRESS="$address:$port" syndrift evaluate "$@" --on ray
