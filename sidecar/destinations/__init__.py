"""Where repositories and evidence are published to: a folder, an S3-compatible store, NATS."""
