#!/usr/bin/env bash
# Diagnostics of the trained cells of ../ablation. Asks only what has not been answered; run ../ablation/run.sh first, on
# the same machine: the models lie in its working tree, not in the repository. Answers are kept beside the cells. All are
# given by the code of one commit, so that they may be compared.
# Usage: experiments/physics/run.sh [step …]   steps: quick nve stability liquid (all)   SETS="ag si" asks of these only
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cells=$root/experiments/ablation/cells
commit=ffb8408
code=$root/runs/code-$commit
python=${PYTHON:-$root/.venv/bin/python}
export OMP_NUM_THREADS=1

# ask SETS WORDS…: every kept cell of these sets with seeds 0 to 2 that has its model here
ask() {
  local set kept run i found=() to=()
  for set in $1; do
    [[ " ${SETS:-$1} " == *" $set "* ]] || continue
    for kept in "$cells"/{,probe_lr-*/}mace-*-"$set"-s[012]-*/; do
      for run in "$root"/runs/code-*/runs/ablation/"$(basename "$kept")"; do
        [ -f "$run/model.safetensors" ] && found+=("$run") && to+=("$kept/diagnostics")
      done
    done
  done
  [ ${#found[@]} -gt 0 ] || return 0
  (cd "$code" && "$python" -m scalarfid.diagnose -m "model=$(IFS=,; echo "${found[*]}")" "${@:2}")
  for i in "${!found[@]}"; do
    [ -d "${found[i]}/diagnostics" ] || continue
    mkdir -p "${to[i]}"
    cp "${found[i]}"/diagnostics/*.json "${to[i]}/"
  done
}

[ -d "$code" ] || git -C "$root" worktree add --detach "$code" "$commit"
[ $# -gt 0 ] || set -- quick nve stability liquid
for step in "$@"; do
  case $step in
    quick)
      ask "ag si si_sw ag_emt" diagnostics=elastic,phonons,repulsion
      ask rmd17_ethanol diagnostics=bsct,repulsion
      ;;
    nve) ask "ag si rmd17_ethanol si_sw ag_emt" diagnostics=nve nve.duration=5 nve.timesteps=[1.0,2.0] ;;
    stability) ask "rmd17_ethanol ag si si_sw ag_emt" diagnostics=stability ;;
    liquid) ask "ag si si_sw ag_emt" diagnostics=rdf compile=true ;;
    *) echo "unknown step $step" >&2; exit 2 ;;
  esac
done
"$python" -m scalarfid.report "$cells" out="$root/experiments/ablation/report"
