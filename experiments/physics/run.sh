#!/usr/bin/env bash
# Diagnostics of the trained cells of ../ablation whose models are kept there (those trained since they are kept). Asks
# only what has not been answered, all of a set by the code of one commit, so that answers may be compared.
# Usage: experiments/physics/run.sh [step …]   steps: quick nve stability liquid (all)
# SETS="ag si" asks models of these sets only, SEEDS="0 1" of these seeds
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cells=$root/experiments/ablation/cells
python=${PYTHON:-$root/.venv/bin/python}
export OMP_NUM_THREADS=1

# commit_of SET STEP: whose code asks
commit_of() {
  case $1-$2 in
    si_sw-liquid) echo cecc8e5 ;; # tells a glass from a liquid; the other sets' melts are liquids by it too
    si_sw-*) echo 0aff6c4 ;; si-* | lif-*) echo e8f1891 ;; ag-* | rmd17_ethanol-*) echo ffb8408 ;;
    mol31-*) echo 290d4c2 ;;
    *) echo be4cc4f ;;
  esac
}

# ask SETS WORDS…: every kept cell of these sets that has its model, the questions of this step
ask() {
  local set seed model found code
  for set in $1; do
    [[ " ${SETS:-$1} " == *" $set "* ]] || continue
    found=()
    for seed in ${SEEDS:-0 1 2 3 4}; do
      for model in "$cells"/{,probe_lr-*/}mace-*-"$set"-s"$seed"-*/model.safetensors; do
        [ -f "$model" ] && found+=("$(dirname "$model")")
      done
    done
    [ ${#found[@]} -gt 0 ] || continue
    code=$root/runs/code-$(commit_of "$set" "$step")
    [ -d "$code" ] || git -C "$root" worktree add --detach "$code" "$(commit_of "$set" "$step")"
    (cd "$code" && "$python" -m scalarfid.diagnose -m "model=$(IFS=,; echo "${found[*]}")" "${@:2}") ||
      echo "Some questions to models of $set found no answer. The same command asks them again." >&2
  done
}

[ $# -gt 0 ] || set -- quick nve stability liquid
for step in "$@"; do
  case $step in
    quick)
      ask "ag_emt si_sw lif ag si" diagnostics=elastic,phonons,repulsion
      ask "rmd17_ethanol rmd17_aspirin" diagnostics=bsct,repulsion
      ask mol31 diagnostics=bsct
      ;;
    nve)
      ask "ag_emt si_sw lif ag si" diagnostics=nve nve.duration=5 nve.timesteps=[1.0,2.0]
      ask rmd17_ethanol diagnostics=nve nve.duration=5 nve.timesteps=[0.5,1.0,2.0] # at 2 fs its O–H fails
      ;;
    stability)
      ask "ag_emt si_sw lif ag si rmd17_ethanol" diagnostics=stability
      # one run of each molecule; at 1000 K nearly all survive
      ask mol31 diagnostics=stability stability.temperatures=[2000.0] stability.seeds=1 stability.duration=0.5
      ;;
    liquid)
      ask "ag_emt lif ag si" diagnostics=rdf compile=true
      ask si_sw diagnostics=rdf compile=true rdf.superheat=5 # by the default of 2.5 most models stay crystals
      ;;
    *) echo "unknown step $step" >&2; exit 2 ;;
  esac
done
for beside in survival lif_dft; do "$python" "$here/$beside.py"; done
"$python" -m scalarfid.report "$cells" out="$root/experiments/ablation/report"
