"""Through real Envoy and real OPA."""
