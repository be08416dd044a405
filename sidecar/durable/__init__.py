"""Files that survive a crash: atomic replacement, exclusive creation, synced folders."""
