"""The programs in ``examples/``, each run as its README states it."""
