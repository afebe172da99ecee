"""scalarfid: what equivariant interatomic potentials lose in their l = 0 channels, measured with paired experiments."""
