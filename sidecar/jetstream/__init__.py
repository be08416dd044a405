"""NATS JetStream: a key-value bucket for what changes, an object store for evidence."""
