"""What the container images are built and run with."""
