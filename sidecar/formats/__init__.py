"""File formats that several packages read."""
