"""Writes a manifest in the formats that other tools read. Pure.

``slsa``, ``cyclonedx``, ``spdx`` and ``model_card`` each return one document. An export is a copy:
nothing here signs, and no gate takes one as evidence.
"""
