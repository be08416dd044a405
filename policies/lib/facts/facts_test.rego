package lib.facts_test

import data.lib.facts
import data.lib.fixtures_test as fixtures

test_digests_are_those_of_the_roles if {
	facts.digests(0, ["training"]) == {fixtures.digest("b")} with input as fixtures.facts
	facts.digests(0, ["training", "validation"]) == {fixtures.digest("b"), fixtures.digest("c")} with input as fixtures.facts
	facts.digests(1, ["training"]) == set() with input as fixtures.facts
}

test_corpora_must_be_identified_and_not_empty if {
	facts.corpora_recorded(0, ["training"]) with input as fixtures.facts
	changes := [
		fixtures.set("/adaptations/0/corpora/0/digest", "b"),
		fixtures.set("/adaptations/0/corpora/0/digest", 7),
		fixtures.set("/adaptations/0/corpora/0/records", 0),
		fixtures.set("/adaptations/0/corpora", []),
		fixtures.without("/adaptations/0/corpora"),
	]
	every changed in changes {
		not facts.corpora_recorded(0, ["training"]) with input as changed
	}
}

test_roles_that_are_no_list_are_never_recorded if {
	not facts.corpora_recorded(0, null) with input as fixtures.facts
	not facts.corpora_recorded(0, []) with input as fixtures.facts
}

test_every_suite_of_the_kind_must_reach_both_bounds if {
	facts.suites_reach(0, "adversarial", 0.95) with input as fixtures.facts
	not facts.suites_reach(0, "adversarial", 0.951) with input as fixtures.facts
	not facts.suites_reach(0, "adversarial", 0.1) with input as fixtures.set("/adaptations/0/suites/0/score", 0.89)
	not facts.suites_reach(0, "compliance", 0.1) with input as fixtures.set("/adaptations/0/suites/3/score", 0.89)
	not facts.suites_reach(0, "load", 0.1) with input as fixtures.facts
}

test_a_floor_that_is_no_number_is_never_reached if {
	not facts.suites_reach(0, "adversarial", null) with input as fixtures.facts
	not facts.suites_reach(0, "adversarial", false) with input as fixtures.facts
}

test_a_suite_counts_for_so_many_days if {
	facts.suite_performed(0, "adversarial", 13) with input as fixtures.facts
	not facts.suite_performed(0, "adversarial", 12) with input as fixtures.facts
	not facts.suite_performed(0, "load", 13) with input as fixtures.facts
}

test_compliance_is_of_one_jurisdiction_and_passed if {
	facts.compliance_performed(0, "us", 13) with input as fixtures.facts
	not facts.compliance_performed(0, "uk", 13) with input as fixtures.facts
	not facts.compliance_performed(0, "us", 12) with input as fixtures.facts
	not facts.compliance_performed(0, "us", 13) with input as fixtures.set("/adaptations/0/suites/3/score", 0.1)
	not facts.compliance_performed(0, "us", 13) with input as fixtures.set("/adaptations/0/suites/3/kind", "regression")
}

test_an_approval_is_of_a_role_and_in_force if {
	facts.approved(0, "customer") with input as fixtures.facts
	not facts.approved(0, "auditor") with input as fixtures.facts
	not facts.approved(0, "customer") with input as fixtures.set("/adaptations/0/approvals/1/not_after", fixtures.facts.now)
}

test_an_approval_for_a_jurisdiction_names_it if {
	facts.approved_for(0, "regulator", "eu") with input as fixtures.facts
	not facts.approved_for(0, "auditor", "eu") with input as fixtures.facts
	not facts.approved_for(0, "regulator", "eu") with input as fixtures.set("/adaptations/0/approvals/2/jurisdictions", ["us"])
	not facts.approved_for(0, "regulator", "eu") with input as fixtures.set("/adaptations/0/approvals/2/not_after", fixtures.facts.now)
}

test_a_declaration_says_something_that_is_not_refused if {
	facts.declared("customer-support", ["none"])
	facts.declared("customer-support", [])
	texts := {"", " ", "-", "None", " n o n e", "N_O-N_E", 7, null}
	{text | some text in texts; facts.declared(text, ["none", "n-o-n-e"])} == set()
}

test_a_declaration_without_a_list_is_refused if {
	not facts.declared("customer-support", null)
	not facts.declared("customer-support", {"none"})
}
