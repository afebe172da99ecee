#!/usr/bin/env bash
# PGS-edge's functions on the weights of l > 0 messages, and of all, on 25 frames of Ag, trained and kept by ../grid.sh
# and compared with the cells of ../ablation_low_data.
# Usage: experiments/ablation_low_data_place/run.sh [mace] [nequip]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
commit=ff55d46
. "$here/../grid.sh"

[ $# -gt 0 ] || set -- mace nequip
for backbone in "$@"; do
  grid +experiment=ablation_low_data dataset=ag backbone="${backbone}_small" probe=pgs_edge \
    probe.pgs_edge.paths=tensor,weights seed=5,6,7,8,9
done
"$python" "$root/scripts/compare.py" "$here/compare.yaml"
exit "${failed:-0}"
