"""The whole product, run as its users run it."""
