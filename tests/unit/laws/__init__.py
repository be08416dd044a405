"""The reference model of the laws, the histories drawn for it, and what they show of the code."""
