"""The relay: whole editions only, of sources that are heard, and trusted with nothing."""
