"""The relay: follows authorities once and serves what they publish to many gates."""
