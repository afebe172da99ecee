#!/usr/bin/env bash
# Ag of ../ablation at four times the epochs, by the grid's own command: what is done is skipped, what was interrupted
# goes on. Kept are the cells that are finished, and a report of them.
# Usage: experiments/ablation_longer/run.sh [nequip mace allegro]   JOBS=2 trains two at a time
# SCALARFID_DATA must hold the data, else they are downloaded.
set -euo pipefail
shopt -s nullglob
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
commit=fb90404
code=$root/runs/code-$commit
[ -d "$code" ] || git -C "$root" worktree add --detach "$code" "$commit"

grid() {
  (cd "$code" && "$python" -m scalarfid.train -m +experiment=ablation_small run.experiment=ablation_longer \
    dataset=ag training.max_epochs=60 run.compile=true run.threads=1 run.progress=false run.device=cpu \
    hydra/launcher=parallel hydra.launcher.processes="${JOBS:-1}" "$@") || failed=1
}

# keep: finished cells of $code, without their checkpoints
keep() {
  local summary cell
  for summary in "$code"/runs/ablation_longer/*/summary.json; do
    cell=$here/cells/$(basename "$(dirname "$summary")")
    mkdir -p "$cell"
    cp "${summary%/*}"/{summary.json,status.json,config.yaml,model.safetensors} "$cell/"
  done
}

[ $# -gt 0 ] || set -- nequip mace allegro
for step in "$@"; do
  case $step in
    nequip) # the control's modules have a rate of their own, chosen with as many trials for every arm (../trials)
      grid backbone=nequip_small seed=0,1,2,3,4 training.lr=0.1 probe=none,pan+pgs
      grid backbone=nequip_small seed=0,1,2,3,4 training.lr=0.1 probe=mlp training.probe_lr=0.03
      ;;
    mace) grid backbone=mace_small seed=0,1,2,3,4 probe=none,mlp,pan+pgs ;;
    allegro) grid backbone=allegro_small seed=0,1,2 probe=none,mlp,pan+pgs ;;
    *) echo "unknown step $step" >&2; exit 2 ;;
  esac
  keep
done
"$python" -m scalarfid.report "$here/cells" out="$here/report"
exit "${failed:-0}"
