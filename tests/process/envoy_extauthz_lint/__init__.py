"""What real Envoy lets pass with each change that the linter reports."""
