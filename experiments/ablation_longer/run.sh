#!/usr/bin/env bash
# Ag of ../ablation at four times the epochs, trained, kept and reported by ../grid.sh.
# Usage: experiments/ablation_longer/run.sh [nequip mace allegro]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
commit=fb90404
. "$here/../grid.sh"

ag() { grid +experiment=ablation_small dataset=ag training.max_epochs=60 "$@"; }

[ $# -gt 0 ] || set -- nequip mace allegro
for step in "$@"; do
  case $step in
    nequip) # the control's modules have a rate of their own, chosen with as many trials for every arm (../trials)
      ag backbone=nequip_small seed=0,1,2,3,4 training.lr=0.1 probe=none,pan+pgs
      ag backbone=nequip_small seed=0,1,2,3,4 training.lr=0.1 probe=mlp training.probe_lr=0.03
      ;;
    mace) ag backbone=mace_small seed=0,1,2,3,4 probe=none,mlp,pan+pgs ;;
    allegro) ag backbone=allegro_small seed=0,1,2 probe=none,mlp,pan+pgs ;;
    *) echo "unknown step $step" >&2; exit 2 ;;
  esac
done
report
