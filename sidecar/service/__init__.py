"""The composition root: the one place that knows both the request path and the control path."""
