package system.authz_test

import data.system.authz

decision := {
	"method": "POST",
	"path": ["v1", "data", "admission", "decision"],
	"params": {"strict-builtin-errors": ["true"]},
}

asked(method, path, params) := {"method": method, "path": path, "params": params}

test_the_decision_may_be_asked_for if authz.allow with input as decision

test_the_health_may_be_asked_for if authz.allow with input as {"method": "GET", "path": ["health"]}

test_nothing_is_allowed_by_default if authz.allow == false with input as {}

test_errors_must_be_strict if {
	params := [{}, {"strict-builtin-errors": ["false"]}, {"strict-builtin-errors": ["true", "false"]}]
	every value in params {
		authz.allow == false with input as asked("POST", decision.path, value)
	}
}

test_no_parameter_may_be_added if {
	more := object.union(decision.params, {"explain": ["full"]})
	authz.allow == false with input as asked("POST", decision.path, more)
}

test_everything_else_is_refused if {
	requests := [
		["GET", ["v1", "data", "admission", "decision"]],
		["PUT", ["v1", "data", "admission", "decision"]],
		["PATCH", ["v1", "data"]],
		["POST", ["v1", "data"]],
		["POST", ["v1", "data", "admission"]],
		["POST", ["v1", "data", "admission", "decision", "allow"]],
		["POST", ["v0", "data", "admission", "decision"]],
		["POST", ["v1", "query"]],
		["POST", ["v1", "compile"]],
		["POST", []],
		["PUT", ["v1", "policies", "x"]],
		["DELETE", ["v1", "policies", "x"]],
		["GET", ["v1", "config"]],
		["POST", ["health"]],
	]
	every request in requests {
		authz.allow == false with input as asked(request[0], request[1], decision.params)
	}
}
