"""Parts of the composition root that need no process."""
