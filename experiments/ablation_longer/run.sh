#!/usr/bin/env bash
# Arms of ../ablation whose validation errors had not flattened there, trained for longer by the grid's own command: what
# is done is skipped, what was interrupted goes on. Kept are cells that are finished, and a report of them.
# Usage: experiments/ablation_longer/run.sh [nequip mace allegro lif]   JOBS=2 trains two at a time
# SCALARFID_DATA must hold the data, else they are downloaded.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
commit=fb90404
code=$root/runs/code-$commit
[ -d "$code" ] || git -C "$root" worktree add --detach "$code" "$commit"

grid() {
  (cd "$code" && "$python" -m scalarfid.train -m +experiment=ablation_small run.experiment=ablation_longer \
    probe=none,mlp,pan+pgs run.compile=true run.threads=1 run.progress=false run.device=cpu \
    hydra/launcher=parallel hydra.launcher.processes="${JOBS:-1}" "$@")
}

# keep: finished cells of $code, without their checkpoints
keep() {
  local done cell
  for done in "$code"/runs/ablation_longer/*/summary.json; do
    cell=$here/cells/$(basename "$(dirname "$done")")
    mkdir -p "$cell"
    cp "${done%/*}"/{summary.json,status.json,config.yaml,model.safetensors} "$cell/"
  done
}

[ $# -gt 0 ] || set -- nequip mace allegro lif
for step in "$@"; do
  case $step in
    nequip) grid dataset=ag backbone=nequip_small seed=0,1,2,3,4 training.max_epochs=60 training.lr=0.1 || failed=1 ;;
    mace) grid dataset=ag backbone=mace_small seed=0,1,2,3,4 training.max_epochs=60 || failed=1 ;;
    allegro) grid dataset=ag backbone=allegro_small seed=0,1,2 training.max_epochs=60 || failed=1 ;;
    lif) grid dataset=lif backbone=mace_small seed=0,1,2 training.max_epochs=80 || failed=1 ;;
    *) echo "unknown step $step" >&2; exit 2 ;;
  esac
  keep
done
"$python" -m scalarfid.report "$here/cells" out="$here/report"
exit "${failed:-0}"
