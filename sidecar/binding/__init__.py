"""Binds a provider's finished tuning job, its files and its declarations into a manifest.

``openai`` is pure: values in, a statement out. ``files`` and ``declared`` read files. Another
provider is another module beside ``openai``.
"""
