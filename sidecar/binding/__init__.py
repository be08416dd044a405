"""A provider's finished job becomes a manifest: read it, hash its files, state what they say.

``openai`` is pure: values in, a statement out. ``files`` and ``declared`` are the edge that reads
files. Another provider is another module beside ``openai``.
"""
