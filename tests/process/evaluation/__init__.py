"""Suites run on real Inspect AI, against a stand-in that speaks OpenAI's wire format."""
