#!/usr/bin/env bash
# The evidence, cell after cell, in the order of the questions. Resumes: cells kept in cells/ are skipped, interrupted
# ones go on. Every cell is trained by the code of one commit, so that all may be compared.
# Usage: experiments/ablation/run.sh [step …]   steps: ethanol ag si parts lif others aspirin (all)
# SCALARFID_DATA must hold the data, else they are downloaded. The cells are those of +experiment=ablation_small.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
commit=7a57fcd
code=$root/runs/code-$commit
python=${PYTHON:-$root/.venv/bin/python}
[ -d "$code" ] || git -C "$root" worktree add --detach "$code" "$commit"

declare -A name=([ethanol]=rmd17_ethanol [aspirin]=rmd17_aspirin [ag]=ag [si]=si [lif]=lif)
declare -A data=(
  [ethanol]="dataset=rmd17 dataset.molecule=ethanol dataset.n_train=200 dataset.n_val=50 training.max_epochs=100"
  [aspirin]="dataset=rmd17 dataset.molecule=aspirin dataset.n_train=200 dataset.n_val=50 training.max_epochs=100"
  [ag]="dataset=ag dataset.n_train=60 dataset.n_val=15 training.max_epochs=25"
  [si]="dataset=si dataset.n_train=100 training.max_epochs=25 training.stress_weight=100"
  [lif]="dataset=lif dataset.n_train=200 dataset.n_val=0.1 training.max_epochs=30 training.stress_weight=100"
)

# cells SET BACKBONE SEEDS PROBE…: the probes of one seed after another, then the next seed
cells() {
  local set=$1 backbone=$2 seeds=$3 seed probe found
  shift 3
  for seed in $seeds; do
    for probe in "$@"; do
      compgen -G "$here/cells/${backbone%_small}-$probe-${name[$set]}-s$seed-*/summary.json" >/dev/null && continue
      # shellcheck disable=SC2086
      found=$(cd "$code" && OMP_NUM_THREADS=1 "$python" -m scalarfid.train backbone="$backbone" \
        probe="$probe" ${data[$set]} seed="$seed" run.experiment=ablation run.threads=1 run.progress=false \
        run.device=cpu)
      mkdir -p "$here/cells/$(basename "$found")"
      cp -n "$code/$found"/{summary.json,status.json,config.yaml} "$here/cells/$(basename "$found")/"
    done
  done
}

three="none mlp pan+pgs"
parts="mlp_pan pan mlp_pgs pgs"
[ $# -gt 0 ] || set -- ethanol ag si parts lif others aspirin
for step in "$@"; do
  case $step in
    ethanol | ag | si | aspirin) cells "$step" mace_small "0 1 2 3 4" $three ;;
    parts) for set in ethanol ag si; do cells $set mace_small "0 1 2 3 4" $parts; done ;;
    lif) cells lif mace_small "0 1 2 3 4" $three ;;
    others) for set in ethanol ag; do for backbone in nequip_small allegro_small; do cells $set $backbone "0 1 2" $three; done; done ;;
    *) echo "unknown step $step" >&2; exit 2 ;;
  esac
done
"$python" -m scalarfid.report "$here/cells" out="$here/report"
