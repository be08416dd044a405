"""What the gate tells about itself: metrics and the decision log. Knows only the core's words."""
