#!/usr/bin/env bash
#SBATCH --job-name=syndrift-evaluate
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
# Counts a sweep on all nodes of the job: sbatch configs/slurm_evaluate.sh CONFIG [OPTIONS of evaluate]
# One Ray node on each; the driver on the first. A job that ran out of time goes on with the same line.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: sbatch $0 CONFIG [OPTIONS]" >&2; exit 2; }

nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(echo "$nodes" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | cut -d ' ' -f 1)
port=${RAY_PORT:-6379}
cores=${SLURM_CPUS_PER_TASK:-1}
export RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
# Nodes of another user on the same network must not join: the token is of this job, in the shared home.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(python3 -c 'import secrets; print(secrets.token_hex(32))')}

srun --nodes=1 --ntasks=1 -w "$head" \
  ray start --head --node-ip-address="$address" --port="$port" --num-cpus="$cores" --include-dashboard=false --block &
sleep "${RAY_START_SECONDS:-15}"
for node in $(echo "$nodes" | tail -n +2); do
  srun --nodes=1 --ntasks=1 -w "$node" ray start --address="$address:$port" --num-cpus="$cores" --block &
done
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT

srun --nodes=1 --ntasks=1 --overlap -w "$head" env RAY_ADDRESS="$address:$port" syndrift evaluate "$@" --on ray
