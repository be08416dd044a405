"""The objects of deploy/ for Kubernetes, given to the programs that read them in a cluster."""
