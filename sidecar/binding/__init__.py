"""Binds a finished tuning job, its files and its declarations into a manifest.

``job`` assembles a manifest from an adapted model and what was declared. ``openai`` reads a
provider's records and is pure, as ``job`` is. ``lora`` reads the folder of an adapter;
``files`` and ``declared`` read the files that were given with either. Another provider is another
module beside ``openai``.
"""
