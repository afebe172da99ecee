"""Grids: from one command to many runs, in this process, in several, or on a cluster, each run done once."""
