#!/usr/bin/env bash
# The evidence, cell after cell, in the order of the questions. Resumes: cells kept in cells/ are skipped, interrupted
# ones go on. What is compared (a set and a backbone) is trained by the code of one commit.
# Usage: experiments/ablation/run.sh [step …]   JOBS=2 trains two at a time, SEEDS="0 1" these seeds only
# Steps: ethanol ag si lif reference parts-ethanol parts-ag parts-si parts-lif others aspirin mol31 (all).
# SCALARFID_DATA must hold the data, else they are downloaded. The cells are those of +experiment=ablation_small.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
export here root python OMP_NUM_THREADS=1

# commit_of SET BACKBONE: whose code trains it; what is compared keeps the one it was begun with
commit_of() {
  case $1-$2 in
    ag-mace*) echo f872ab9 ;; rmd17_ethanol-mace*) echo 17bad1a ;; si-mace*) echo 2926885 ;;
    lif-mace*) echo b39f4bf ;; mol31-*) echo 290d4c2 ;; *-mace*) echo be4cc4f ;;
    ag-*) echo fb18a23 ;; *-nequip*) echo 4f8430b ;; *) echo 04df8ca ;;
  esac
}
# how SET BACKBONE: steps compiled or not; the code of Ag with MACE is older than that choice and does not know the
# word, mol31 has too many sizes for it to pay
how() { case $1-$2 in ag-mace* | mol31-*) ;; *) echo run.compile=true ;; esac; }

# cell SET BACKBONE SEED PROBE [RATE]: train it unless it is kept; keep what the report reads, and the model, which
# ../physics asks. RATE: of the modules, where an arm has one of its own (../trials); such cells have a folder of that name
cell() {
  local found name=${2%_small}-$4-$1-s$3 code kept=$here/cells${5:+/probe_lr-$5}
  code=$root/runs/code-$(commit_of "$1" "$2")
  if ! compgen -G "$kept/$name-*/summary.json" >/dev/null; then
    mkdir -p "$kept"
    echo "$(date +%T) $name ${5:-}"
    # shellcheck disable=SC2046
    found=$(cd "$code" && "$python" -m scalarfid.train +experiment=ablation_small dataset="$1" backbone="$2" seed="$3" \
      probe="$4" $(how "$1" "$2") ${5:+training.probe_lr="$5"} run.threads=1 run.progress=false run.device=cpu \
      2>"$kept/$name.log") || return 1
    mkdir -p "$kept/$(basename "$found")"
    cp "$code/$found"/{summary.json,status.json,config.yaml,model.safetensors} "$kept/$(basename "$found")/"
    rm "$kept/$name.log"
  fi
}
export -f cell commit_of how

# grid SETS BACKBONES SEEDS PROBES: one line a cell; the probes of one seed stay together. A probe is PROBE or PROBE:RATE
grid() {
  local set backbone seed probe
  for seed in $3; do for set in $1; do for backbone in $2; do for probe in $4; do
    [[ " ${SEEDS:-$3} " != *" $seed "* ]] || echo "$set $backbone $seed ${probe/:/ }"
  done; done; done; done
}

# parts SET PROBES CONTROLS: three seeds of all, then the rest
parts() {
  local seeds probes
  for seeds in "0 1 2" "3 4"; do for probes in "$2" "$3"; do grid "$1" mace_small "$seeds" "$probes"; done; done
}

cells() {
  local three="none mlp pan+pgs:0.001" molecule="none mlp:0.003 pan+pgs:0.001" five="0 1 2 3 4" set
  case $1 in
    ethanol) grid rmd17_ethanol mace_small "$five" "$molecule" ;;
    ag) grid ag mace_small "$five" "none mlp pan+pgs" ;;
    si | lif) grid "$1" mace_small "$five" "$three" ;;
    # a part has the rate of its whole
    parts-ethanol) parts rmd17_ethanol "pan:0.001 pgs:0.001" "mlp_pan:0.003 mlp_pgs:0.003" ;;
    parts-ag) parts ag "pan pgs" "mlp_pan mlp_pgs" ;;
    parts-*) parts "${1#parts-}" "pan:0.001 pgs:0.001" "mlp_pan mlp_pgs" ;;
    others)
      grid rmd17_ethanol "nequip_small allegro_small" "0 1 2" "$molecule"
      grid ag "nequip_small allegro_small" "0 1 2" "none mlp pan+pgs"
      ;;
    # for bond scans at the labels' own level of theory
    mol31) grid mol31 mace_small "$five" "$molecule" ;;
    aspirin) grid rmd17_aspirin mace_small "$five" "$molecule" ;;
    # for the questions of ../physics, where truth is exact
    reference)
      for set in ag_emt si_sw; do grid "$set" mace_small "0 1 2" "$three"; done
      grid si_sw mace_small "3 4" "$three"
      ;;
    *) echo "unknown step $1" >&2; exit 2 ;;
  esac
}

# code: the worktrees of the cells on stdin
code() {
  local set backbone rest commit
  while read -r set backbone rest; do commit_of "$set" "$backbone"; done | sort -u | while read -r commit; do
    [ -d "$root/runs/code-$commit" ] || git -C "$root" worktree add --detach "$root/runs/code-$commit" "$commit"
  done
}

[ $# -gt 0 ] || set -- ethanol ag si lif reference parts-ethanol parts-ag parts-si parts-lif others aspirin mol31
for step in "$@"; do
  cells "$step" | code
  # shellcheck disable=SC2016
  cells "$step" | xargs -r -P "${JOBS:-1}" -L 1 bash -c 'cell "$@"' cell ||
    echo "Some cells of step $step failed: their logs are in $here/cells. The same command tries them again." >&2
  "$python" -m scalarfid.report "$here/cells" out="$here/report"
done
