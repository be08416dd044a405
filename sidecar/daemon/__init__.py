"""What the programs beside the gate share: admin endpoint, metrics of rounds, end by signal."""
