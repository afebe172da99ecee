"""How long things take, and how that compares with the trainers and calculators that users come from."""
