"""The linter: each rule, its example, and any file."""
