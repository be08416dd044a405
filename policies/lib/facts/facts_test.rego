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
	not facts.suites_reach(0, "adversarial", 0.1) with input as fixtures.set("/adaptations/0/suites/0/results/0/score", 0.89)
	not facts.suites_reach(0, "compliance", 0.1) with input as fixtures.set("/adaptations/0/suites/3/results/0/score", 0.89)
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

test_a_result_must_be_high_enough_and_recent_enough_at_once if {
	facts.suite_reached_within(0, "adversarial", 0.95, 13) with input as fixtures.facts
	not facts.suite_reached_within(0, "adversarial", 0.951, 13) with input as fixtures.facts
	not facts.suite_reached_within(0, "adversarial", 0.95, 12) with input as fixtures.facts
	not facts.suite_reached_within(0, "adversarial", null, 13) with input as fixtures.facts
	not facts.suite_reached_within(0, "load", 0.1, 13) with input as fixtures.facts
	apart := json.patch(
		fixtures.with_result(0, object.union(fixtures.result(0.99, "assay"), {"performed": "2025-01-01T00:00:00Z"})),
		[{"op": "replace", "path": "/adaptations/0/suites/0/results/0/score", "value": 0.9}],
	)
	facts.suites_reach(0, "adversarial", 0.95) with input as apart
	facts.suite_performed(0, "adversarial", 13) with input as apart
	not facts.suite_reached_within(0, "adversarial", 0.95, 13) with input as apart
}

test_every_suite_was_scored_by_somebody_else_than_the_producer if {
	facts.independently_scored(0) with input as fixtures.facts
	not facts.independently_scored(0) with input as fixtures.set("/adaptations/0/suites/3/results/0/evaluator", "acme-ml")
	not facts.independently_scored(0) with input as fixtures.set("/adaptations/0/suites", [])
}

# What holds with some evidence holds with more of it: else losing a file would turn a denial into an allow.
test_one_more_result_or_approval_takes_nothing_away if {
	poor := object.union(fixtures.result(0.9, "acme-ml"), {"performed": "2024-01-01T00:00:00Z"})
	silent := object.union(fixtures.approval("customer"), {"declarations": {}, "jurisdictions": ["us"]})
	every more in [fixtures.with_result(0, poor), fixtures.with_result(3, poor), fixtures.with_approval(silent)] {
		facts.suites_reach(0, "adversarial", 0.95) with input as more
		facts.suite_performed(0, "adversarial", 13) with input as more
		facts.suite_reached_within(0, "adversarial", 0.95, 13) with input as more
		facts.compliance_performed(0, "us", 13) with input as more
		facts.independently_scored(0) with input as more
		facts.approved_for(0, "customer", "eu") with input as more
		facts.approval_declares(0, "customer", "effective-challenge", ["none"]) with input as more
		facts.approval_says(0, "customer", "risk-response", ["mitigate"]) with input as more
	}
}

test_compliance_is_of_one_jurisdiction_and_passed if {
	facts.compliance_performed(0, "us", 13) with input as fixtures.facts
	not facts.compliance_performed(0, "uk", 13) with input as fixtures.facts
	not facts.compliance_performed(0, "us", 12) with input as fixtures.facts
	not facts.compliance_performed(0, "us", 13) with input as fixtures.set("/adaptations/0/suites/3/results/0/score", 0.1)
	not facts.compliance_performed(0, "us", 13) with input as fixtures.set("/adaptations/0/suites/3/kind", "regression")
}

test_an_approval_for_a_jurisdiction_names_it if {
	facts.approved_for(0, "regulator", "eu") with input as fixtures.facts
	not facts.approved_for(0, "auditor", "eu") with input as fixtures.facts
	not facts.approved_for(0, "regulator", "eu") with input as fixtures.set("/adaptations/0/approvals/2/jurisdictions", ["us"])
	not facts.approved_for(0, "regulator", "eu") with input as fixtures.set("/adaptations/0/approvals/2/not_after", fixtures.facts.now)
}

test_a_declaration_says_something_that_is_not_refused if {
	facts.declared("customer-support", ["none"])
	facts.declared("Münchner Rück", ["none"])
	facts.declared("不明な点なし", ["none"])
	texts := {"", " ", "-", "None", " n o n e", "N_O-N_E", 7, null}
	{text | some text in texts; facts.declared(text, ["none", "n-o-n-e"])} == set()
}

test_what_nobody_sees_and_how_it_is_joined_makes_no_difference if {
	unseen := {"\u200b", "\u00a0", "\ufeff", "\u2028", "\u0000", "???", "—"}
	joined := {"n\u200bone", "none\u00ad", "no\u202ene", "none|", "n|one", "N.O.N.E.", "none\u0301"}
	{text | some text in (unseen | joined); facts.declared(text, ["none"])} == set()
	facts.plain("Social\u200b-Scoring 2") == "socialscoring2"
	spelt := {"n/a", "N/A", "n.a.", "n a", "n-a", "n—a", "n\ta"}
	every entry in ["n-a", "n/a", "na"] {
		{text | some text in spelt; facts.declared(text, ["none", entry])} == set()
	}
}

test_a_declaration_without_a_list_is_refused if {
	not facts.declared("customer-support", null)
	not facts.declared("customer-support", {"none"})
	not facts.declared("customer-support", [])
}

test_a_list_is_searched_however_a_text_is_spelt if {
	facts.listed("Limited Data_Set", ["x", "limited-data-set"])
	not facts.listed("limited", ["limited-data-set"])
	not facts.listed("Limited", ["Limited"])
	not facts.listed(7, ["7"])
	not facts.listed("x", "x")
	not facts.listed("x", {"a": "x"})
}

test_what_the_environment_declares if {
	facts.environment_declares("impact-level", ["none"]) with input as fixtures.facts
	not facts.environment_declares("impact-level", ["il5"]) with input as fixtures.facts
	not facts.environment_declares("owner", ["none"]) with input as fixtures.facts
	facts.environment_says("impact-level", ["il5"]) with input as fixtures.facts
	not facts.environment_says("impact-level", ["il4"]) with input as fixtures.facts
	not facts.environment_says("owner", ["il5"]) with input as fixtures.facts
}

test_a_declared_number_is_a_whole_number_of_at_least_so_much if {
	facts.environment_counts("log-retention-days", 365) with input as fixtures.facts
	not facts.environment_counts("log-retention-days", 366) with input as fixtures.facts
	not facts.environment_counts("log-retention-days", null) with input as fixtures.facts
	not facts.environment_counts("owner", 1) with input as fixtures.facts
	every text in ["-400", "0400", "4e2", "400.0", "400 days", "1234567890"] {
		not facts.environment_counts("log-retention-days", 1) with input as fixtures.declaring("log-retention-days", text)
	}
}

test_what_the_producer_declares if {
	facts.adaptation_declares(0, "intended-purpose", ["none"]) with input as fixtures.facts
	not facts.adaptation_declares(0, "provider", ["none"]) with input as fixtures.facts
	facts.adaptation_says(0, "gpai-modification", ["minor"]) with input as fixtures.facts
	not facts.adaptation_says(0, "provider", ["minor"]) with input as fixtures.facts
	not facts.adaptation_says(1, "gpai-modification", ["minor"]) with input as fixtures.facts
}

test_what_an_approval_in_force_declares if {
	facts.approval_declares(0, "customer", "effective-challenge", ["none"]) with input as fixtures.facts
	not facts.approval_declares(0, "auditor", "effective-challenge", ["none"]) with input as fixtures.facts
	not facts.approval_declares(0, "customer", "other", ["none"]) with input as fixtures.facts
	not facts.approval_declares(0, "customer", "effective-challenge", ["ec1"]) with input as fixtures.facts
	ended := fixtures.set("/adaptations/0/approvals/1/not_after", fixtures.facts.now)
	not facts.approval_declares(0, "customer", "effective-challenge", ["none"]) with input as ended
}

test_what_an_approval_in_force_says_is_all_on_a_list if {
	facts.approval_says(0, "customer", "risk-response", ["accept", "mitigate"]) with input as fixtures.facts
	not facts.approval_says(0, "customer", "risk-response", ["accept"]) with input as fixtures.facts
	not facts.approval_says(0, "customer", "risk-response", null) with input as fixtures.facts
	not facts.approval_says(0, "auditor", "risk-response", ["mitigate"]) with input as fixtures.facts
	not facts.approval_says(0, "customer", "other", ["mitigate"]) with input as fixtures.facts
	ended := fixtures.set("/adaptations/0/approvals/1/not_after", fixtures.facts.now)
	not facts.approval_says(0, "customer", "risk-response", ["mitigate"]) with input as ended
}

test_a_document_is_bound_by_its_digest if {
	facts.documented(0, "technical-documentation") with input as fixtures.facts
	not facts.documented(0, "copyright-policy") with input as fixtures.facts
	not facts.documented(0, "technical-documentation") with input as fixtures.set("/adaptations/0/documents/0/digest", "e")
}

test_a_corpus_that_declares_no_class_may_be_of_any if {
	facts.free_of(0, ["phi"]) with input as fixtures.facts
	not facts.free_of(0, ["Synth etic"]) with input as fixtures.facts
	not facts.free_of(0, null) with input as fixtures.facts
	not facts.free_of(0, ["phi"]) with input as fixtures.set("/adaptations/0/corpora/1/classes", [])
	not facts.free_of(0, ["phi"]) with input as fixtures.set("/adaptations/0/corpora/1/classes", ["synthetic", "PHI"])
	not facts.free_of(0, ["phi"]) with input as fixtures.set("/adaptations/0/corpora", [])
	facts.corpus_free_of(0, 1, ["phi"]) with input as fixtures.set("/adaptations/0/corpora/0/classes", [])
}
