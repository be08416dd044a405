"""``admit …``: thin commands, one module per noun; the work is done elsewhere."""
