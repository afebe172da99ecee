#!/usr/bin/env bash
# The small grid with few frames, trained, kept and reported by ../grid.sh. Rates by arm: ../trials.
# Usage: experiments/ablation_low_data/run.sh [ag]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
commit=2df8941
. "$here/../grid.sh"

five() { grid +experiment=ablation_low_data seed=0,1,2,3,4 "$@"; }

[ $# -gt 0 ] || set -- ag
for step in "$@"; do
  case $step in
    ag)
      five dataset=ag probe=none
      five dataset=ag probe=mlp training.probe_lr=0.03
      five dataset=ag probe=pan+pgs training.probe_lr=0.03
      ;;
    *) echo "unknown step $step" >&2; exit 2 ;;
  esac
done
report
