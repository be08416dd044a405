package jurisdiction["us-healthcare_test"]

import data.jurisdiction["us-healthcare"] as rules
import data.lib.fixtures_test as fixtures

codes(facts) := {violation.code | some violation in rules.deny with input as facts}

without_param(name) := json.remove(data.params["us-healthcare"], {name})

declared(name, text) := {"op": "add", "path": concat("/", ["/environment/declarations", name]), "value": text}

classes(j, value) := {"op": "replace", "path": sprintf("/adaptations/0/corpora/%d/classes", [j]), "value": value}

# Health information in play, and all that is asked for it.
covered := [
	declared("phi", "yes"),
	declared("business-associate-agreement", "BAA-3"),
	declared("phi-purpose", "treatment"),
	classes(0, ["PHI", "limited data set"]),
]

with_health_information(patches) := json.patch(fixtures.facts, array.concat(covered, patches))

test_the_package_says_which_sector_it_is if rules.id == "us-healthcare"

# Calls that are admitted; each threshold and list decides at least one of them.
admissible := {
	fixtures.within(["us"], "healthcare"),
	json.patch(fixtures.within(["us"], "healthcare"), covered),
}

test_an_admissible_call_has_no_violation if {
	every facts in admissible {
		codes(facts) == set()
	}
}

test_a_business_associate_agreement_is_needed_where_health_information_may_be if {
	both := {"us-healthcare.hipaa_business_associate", "us-healthcare.hipaa_minimum_necessary"}
	codes(fixtures.undeclared("phi")) == both
	codes(fixtures.declaring("phi", "perhaps")) == both
	codes(fixtures.patched([classes(0, [])])) == both
	codes(fixtures.patched([classes(1, ["synthetic", "e-PHI"])])) == both
	codes(with_health_information([declared("business-associate-agreement", "none")])) == {"us-healthcare.hipaa_business_associate"}
}

test_health_information_is_reduced_to_a_permitted_purpose if {
	every change in [
		declared("phi-purpose", "marketing"),
		{"op": "remove", "path": "/environment/declarations/phi-purpose"},
		classes(0, ["phi"]),
		classes(1, []),
	] {
		codes(with_health_information([change])) == {"us-healthcare.hipaa_minimum_necessary"}
	}
}

test_a_tuned_device_function_needs_a_change_control_plan if {
	device := {"op": "replace", "path": "/environment/declarations/device-function", "value": "yes"}
	undeclared := {"op": "remove", "path": "/environment/declarations/device-function"}
	every change in [device, undeclared] {
		codes(fixtures.patched([change])) == {"us-healthcare.fda_change_control_plan"}
	}
	plan := {"op": "add", "path": "/adaptations/0/documents/-", "value": fixtures.document("predetermined-change-control-plan")}
	codes(fixtures.patched([device, plan])) == set()
	submission := {"op": "add", "path": "/adaptations/0/declarations/marketing-submission", "value": "K260001"}
	codes(fixtures.patched([device, submission])) == set()
	codes(fixtures.patched([device, object.union(submission, {"value": "tbd"})])) == {"us-healthcare.fda_change_control_plan"}
}

test_missing_data_denies if {
	unlisted := codes(fixtures.facts) with data.params["us-healthcare"] as without_param("denials")
	unlisted == {
		"us-healthcare.fda_change_control_plan",
		"us-healthcare.hipaa_business_associate",
		"us-healthcare.hipaa_minimum_necessary",
	}
	needed := {
		"undeclared": {"us-healthcare.hipaa_business_associate"},
		"permitted_purposes": {"us-healthcare.hipaa_minimum_necessary"},
		"minimised": {"us-healthcare.hipaa_minimum_necessary"},
		"health_information": {"us-healthcare.hipaa_minimum_necessary"},
	}
	every name, expected in needed {
		found := codes(with_health_information([])) with data.params["us-healthcare"] as without_param(name)
		found == expected
	}
}
