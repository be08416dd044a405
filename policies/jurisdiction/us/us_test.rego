package jurisdiction.us_test

import data.jurisdiction.us
import data.lib.fixtures_test as fixtures

codes(facts) := {violation.code | some violation in us.deny with input as facts}

without_param(name) := json.remove(data.params.us, {name})

test_the_package_says_which_jurisdiction_it_is if us.id == "us"

# Calls that are admitted; each threshold and list decides at least one of them.
admissible := {fixtures.within(["us"], "general")}

test_an_admissible_call_has_no_violation_and_no_warning if {
	every facts in admissible {
		us.deny == set() with input as facts
		us.warn == set() with input as facts
	}
}

test_a_violation_says_all_that_is_needed_to_mend_it if {
	us.deny == {{
		"code": "us.manage_go_decision",
		"jurisdiction": "us",
		"message": "no customer's approval in force declares how the risks found are responded to",
		"citation": "NIST AI RMF 1.0, MANAGE 1.1 and MANAGE 1.3",
		"remedy": "Have the customer approve the manifest with the declaration risk-response.",
		"subject": fixtures.model,
		"term": "adaptations[].approvals[].declarations",
		"effective_on": "2023-01-26",
		"state": "enforced",
		"authority": "",
	}} with input as fixtures.without("/adaptations/0/approvals/1")
}

test_govern_an_owner_must_be_declared if {
	codes(fixtures.set("/environment/owner", "Unknown")) == {"us.govern_owner"}
	codes(fixtures.set("/environment/owner", "")) == {"us.govern_owner"}
}

test_map_purpose_and_sector_must_be_declared if {
	codes(fixtures.set("/environment/purpose", "TBD")) == {"us.map_purpose"}
	codes(fixtures.set("/environment/sector", " ")) == {"us.map_purpose"}
}

test_govern_and_map_a_missing_list_denies if {
	found := codes(fixtures.facts) with data.params.us as without_param("undeclared")
	found == {"us.govern_owner", "us.map_purpose"}
}

test_measure_every_evaluation_has_metrics if {
	every change in [
		fixtures.set("/adaptations/0/evaluations", []),
		fixtures.set("/adaptations/0/evaluations/0/metrics", {}),
		fixtures.set("/adaptations/0/evaluations/0/metrics", null),
	] {
		codes(change) == {"us.measure_performance"}
	}
}

test_measure_resilience_is_probed_and_recent if {
	every change in [
		fixtures.without("/adaptations/0/suites/0"),
		fixtures.set("/adaptations/0/suites/0/results/0/score", 0.79),
		fixtures.set("/adaptations/0/suites/0/results/0/performed", "2025-09-01T11:59:59Z"),
	] {
		codes(change) == {"us.measure_resilience"}
	}
}

test_measure_a_missing_bound_denies if {
	every name in ["adversarial_floor", "adversarial_max_age_days"] {
		found := codes(fixtures.facts) with data.params.us as without_param(name)
		found == {"us.measure_resilience"}
	}
}

responding(text) := fixtures.set("/adaptations/0/approvals/1/declarations/risk-response", text)

test_manage_the_customer_says_how_risks_are_responded_to if {
	every text in ["mitigate", "Avoid", "mitigate, transfer,accept"] {
		codes(responding(text)) == set()
	}
	every change in [
		fixtures.without("/adaptations/0/approvals/1/declarations/risk-response"),
		responding(""),
		responding("ignore"),
		responding("mitigate, ignore"),
		responding("mitigate,"),
		responding("mitigate and accept"),
	] {
		codes(change) == {"us.manage_go_decision"}
	}
}

test_manage_an_ended_approval_of_the_customer_denies if {
	codes(fixtures.set("/adaptations/0/approvals/1/not_after", fixtures.facts.now)) == {"us.manage_go_decision"}
}

test_manage_a_missing_list_of_responses_denies if {
	found := codes(fixtures.facts) with data.params.us as without_param("risk_responses")
	found == {"us.manage_go_decision"}
}

test_manage_an_approval_about_to_end_warns_and_does_not_deny if {
	facts := fixtures.set("/adaptations/0/approvals/0/not_after", "2026-09-20T00:00:00Z")
	codes(facts) == set()
	us.warn == {{
		"code": "us.manage_approval_ending",
		"jurisdiction": "us",
		"message": "the approval of the-provider (provider) ends at 2026-09-20T00:00:00Z",
		"citation": "NIST AI RMF 1.0, MANAGE 4.1",
		"remedy": "Have the authority renew its approval.",
		"subject": fixtures.model,
		"term": "adaptations[].approvals[].not_after",
		"effective_on": "2023-01-26",
		"state": "enforced",
		"authority": "",
	}} with input as facts
}

test_manage_an_approval_that_another_one_outlasts_ends_without_a_warning if {
	ending := {"op": "replace", "path": "/adaptations/0/approvals/0/not_after", "value": "2026-09-20T00:00:00Z"}
	renewal := fixtures.approval("provider")
	warned(renewal, ending) == set()
	elsewhere := object.union(renewal, {"jurisdictions": ["us"]})
	soon := object.union(renewal, {"not_after": "2026-09-20T00:00:00Z"})
	other_role := object.union(renewal, {"role": "auditor"})
	every further in [elsewhere, soon, other_role] {
		warned(further, ending) == {"us.manage_approval_ending"}
	}
}

warned(further, ending) := {violation.code |
	some violation in us.warn with input as json.patch(fixtures.with_approval(further), [ending])
}

test_resilience_is_shown_by_one_result_and_not_by_two_halves if {
	halves := json.patch(
		fixtures.with_result(0, object.union(fixtures.result(0.9, "assay"), {"performed": "2026-08-31T00:00:00Z"})),
		[
			{"op": "replace", "path": "/adaptations/0/suites/0/results/0/performed", "value": "2025-08-01T00:00:00Z"},
			{"op": "replace", "path": "/adaptations/0/suites/0/threshold", "value": 0.5},
			{"op": "replace", "path": "/adaptations/0/suites/0/results/1/score", "value": 0.6},
		],
	)
	codes(halves) == {"us.measure_resilience"}
}
