#!/usr/bin/env bash
# Bare models with sixteen Bessel functions on 25 frames of Ag, trained and kept by ../grid.sh and compared with the cells
# of ../ablation_low_data.
# Usage: experiments/ablation_low_data_bessel/run.sh [mace] [nequip]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
commit=7bb1a07
. "$here/../grid.sh"

bare() { grid +experiment=ablation_low_data dataset=ag probe=none backbone.num_bessel=16 seed=5,6,7,8,9 "$@"; }

[ $# -gt 0 ] || set -- mace nequip
for step in "$@"; do
  case $step in
    mace) bare ;;
    nequip) bare backbone=nequip_small training.lr=0.05 ;;
    *) echo "unknown step $step" >&2; exit 2 ;;
  esac
done
"$python" "$root/scripts/compare.py" "$here/compare.yaml"
exit "${failed:-0}"
