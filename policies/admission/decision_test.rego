package admission_test

import data.admission
import data.lib.fixtures_test as fixtures

decide(facts) := answer if {
	answer := admission.decision with input as facts with data.revision as "r-1"
}

codes(facts) := {violation.code | some violation in decide(facts).violations}

satisfied := {"allow": true, "violations": []}

unknown(id) := {
	"code": "jurisdiction_unknown",
	"jurisdiction": id,
	"message": sprintf("no policy for jurisdiction %q is loaded", [id]),
	"citation": "docs/policy-authors.md, \"How a decision is made\"",
	"remedy": "Add a package for the jurisdiction, or correct the environment declaration.",
	"subject": id,
	"term": "environment.jurisdictions",
	"effective_on": "",
	"state": "enforced",
	"authority": "",
}

test_an_admissible_call_is_allowed if {
	decide(fixtures.facts) == {
		"allow": true,
		"nonce": "n-1",
		"revision": "r-1",
		"violations": [],
		"warnings": [],
		"jurisdictions": {"eu": satisfied, "eu-finance": satisfied, "us": satisfied, "us-finance": satisfied},
		"lease_seconds": data.params.admission.lease_seconds,
	}
}

test_an_unknown_jurisdiction_is_denied_by_name if {
	decide(fixtures.set("/environment/jurisdictions", ["eu", "atlantis"])) == {
		"allow": false,
		"nonce": "n-1",
		"revision": "r-1",
		"violations": [unknown("atlantis")],
		"warnings": [],
		"jurisdictions": {
			"eu": satisfied,
			"eu-finance": satisfied,
			"atlantis": {"allow": false, "violations": [unknown("atlantis")]},
		},
		"lease_seconds": data.params.admission.lease_seconds,
	}
}

test_a_package_is_no_jurisdiction_unless_it_says_so if {
	facts := fixtures.set("/environment/jurisdictions", ["zz"])
	every document in [{"id": "yy", "deny": {}}, {"deny": set()}, {"id": "zz"}, {"id": "zz", "deny": []}] {
		answer := admission.decision with input as facts
			with data.revision as "r-1"
			with data.jurisdiction.zz as document
			with data.params.zz as {"sectors": {"finance": null}}
		answer.violations == [unknown("zz")]
		answer.allow == false
	}
}

test_all_jurisdictions_must_agree if {
	answer := decide(fixtures.set("/adaptations/0/evaluations", []))
	answer.allow == false
	answer.jurisdictions.eu == satisfied
	answer.jurisdictions.us.allow == false
	answer.violations == answer.jurisdictions.us.violations
	[violation.code | some violation in answer.violations] == ["us.measure_performance"]
}

test_the_sandbox_asks_for_no_results_and_no_approvals if {
	bare := array.concat(
		[{"op": "replace", "path": path, "value": []} | some path in ["/adaptations/0/suites", "/adaptations/0/approvals"]],
		[{"op": "replace", "path": "/request/sandbox", "value": true}],
	)
	answer := decide(fixtures.patched(bare))
	answer.allow == true
	answer.violations == []
	count(answer.warnings) > 0
	{warning.state | some warning in answer.warnings} == {"pending"}

	unmeasured := array.concat(bare, [{"op": "replace", "path": "/adaptations/0/evaluations", "value": []}])
	refused := decide(fixtures.patched(unmeasured))
	refused.allow == false
	{violation.term | some violation in refused.violations} == {"adaptations[].evaluations"}
}

test_without_the_sandbox_results_and_approvals_are_asked_for if {
	answer := decide(fixtures.set("/adaptations/0/suites", []))
	answer.allow == false
	terms := {violation.term | some violation in answer.violations}
	terms == {"adaptations[].suites", "adaptations[].approvals[].declarations"}
}

test_warnings_do_not_deny if {
	answer := decide(fixtures.set("/adaptations/0/approvals/0/not_after", "2026-09-20T00:00:00Z"))
	answer.allow == true
	[warning.code | some warning in answer.warnings] == ["us.manage_approval_ending"]
}

test_an_unknown_jurisdiction_gives_no_warnings if {
	answer := admission.decision with input as fixtures.set("/environment/jurisdictions", ["zz"])
		with data.revision as "r-1"
		with data.jurisdiction.zz as {"warn": {"w"}}
	answer.warnings == []
}

test_an_environment_without_jurisdiction_is_denied if {
	every value in [[], null, "eu", {"a": "eu"}, [""]] {
		answer := decide(fixtures.set("/environment/jurisdictions", value))
		answer.allow == false
		"facts_malformed" in {violation.code | some violation in answer.violations}
	}
}

test_a_jurisdiction_that_is_no_text_is_denied if {
	answer := decide(fixtures.set("/environment/jurisdictions", ["eu", 7]))
	answer.allow == false
	answer.jurisdictions == {
		"eu": {"allow": false, "violations": []},
		"eu-finance": {"allow": false, "violations": []},
	}
	answer.violations == [{
		"code": "facts_malformed",
		"jurisdiction": "",
		"message": "the facts are incomplete or of the wrong type at environment",
		"citation": "docs/policy-authors.md, \"How a decision is made\"",
		"remedy": "Run gate and policies of the same release; this is no fault of the caller.",
		"subject": "environment",
		"term": "input",
		"effective_on": "",
		"state": "enforced",
		"authority": "",
	}]
}

test_the_answer_to_nothing_is_a_readable_denial if {
	answer := admission.decision with input as {} with data.revision as "r-1"
	[violation.subject | some violation in answer.violations] == [
		"adaptations", "deployments", "environment", "nonce", "now", "request", "waivers",
	]
	object.remove(answer, ["violations"]) == {
		"allow": false,
		"nonce": "",
		"revision": "r-1",
		"warnings": [],
		"jurisdictions": {},
		"lease_seconds": data.params.admission.lease_seconds,
	}
}

lacking(subject, message) := {
	"code": "policy_data_missing",
	"jurisdiction": "",
	"message": message,
	"citation": "docs/policy-authors.md, \"How a decision is made\"",
	"remedy": "Build the bundle with its revision; set lease_seconds to a positive whole number.",
	"subject": subject,
	"term": "data",
	"effective_on": "",
	"state": "enforced",
	"authority": "",
}

test_a_bundle_without_revision_never_allows if {
	every revision in [null, "", 7] {
		answer := admission.decision with input as fixtures.facts with data.revision as revision
		answer.allow == false
		answer.revision == ""
		answer.violations == [lacking("data.revision", "the policy bundle has no revision")]
	}
}

test_a_bundle_without_a_lease_never_allows if {
	every lease in [null, "30", 0, -1, 1.5] {
		answer := admission.decision with input as fixtures.facts
			with data.revision as "r-1"
			with data.params.admission.lease_seconds as lease
		answer.allow == false
		answer.lease_seconds == 0
		answer.violations == [lacking("data.params.admission.lease_seconds", "the policy bundle has no lease")]
	}
}

test_each_package_may_shorten_the_lease_or_forbid_it if {
	every pair in [[5, 5], [0, 0], [600, 30]] {
		answer := lease_of_eu(pair[0])
		answer.allow == true
		answer.lease_seconds == pair[1]
	}
	answer := decide(fixtures.facts) with data.params.admission.lease_seconds as 30
		with data.jurisdiction["us-finance"] as {"id": "us-finance", "deny": set(), "lease_seconds": 7}
	answer.lease_seconds == 7
	apart := decide(fixtures.facts) with data.params.admission.lease_seconds as 30
		with data.jurisdiction.uk as {"id": "uk", "deny": set(), "lease_seconds": 3}
	apart.lease_seconds == 30
}

test_a_lease_in_another_form_forbids_reuse if {
	every own in [null, "5", -1, 1.5, true, [5]] {
		lease_of_eu(own).lease_seconds == 0
	}
}

lease_of_eu(seconds) := answer if {
	answer := decide(fixtures.facts) with data.params.admission.lease_seconds as 30
		with data.jurisdiction.eu as {"id": "eu", "deny": set(), "lease_seconds": seconds}
}

test_a_base_model_that_no_one_adapted_is_held_to_the_rules_of_the_environment if {
	decide(fixtures.set("/adaptations", [])).allow == true
	facts := json.patch(fixtures.set("/adaptations", []), [{
		"op": "replace",
		"path": "/environment/purpose",
		"value": "social-scoring",
	}])
	codes(facts) == {"eu.art5_prohibited_practice"}
}
