"""Records decisions: metrics, the decision log and the log of facts."""
