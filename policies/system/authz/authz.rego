# METADATA
# title: What may be asked of the policy engine
# description: >-
#   OPA evaluates this for every request to its API when it runs with `--authorization=basic`, as an OPA
#   that others can reach must. Two things are allowed: the one decision, with built-in errors made fatal,
#   and the health check. Nobody who reaches it can read or write policy or data, or evaluate a query of
#   their own.
package system.authz

default allow := false

# A decision without strict built-in errors would turn an error into an undefined condition, so a
# client that forgets the parameter, or adds one, is refused.
allow if {
	input.method == "POST"
	input.path == ["v1", "data", "admission", "decision"]
	input.params == {"strict-builtin-errors": ["true"]}
}

allow if {
	input.method == "GET"
	input.path == ["health"]
}
