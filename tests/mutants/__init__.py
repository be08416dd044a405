"""``make mutants``: how many small changes of the code make a test fail, in a seeded sample."""
