package jurisdiction.eu_test

import data.jurisdiction.eu
import data.lib.fixtures_test as fixtures

codes(facts) := {violation.code | some violation in eu.deny with input as facts}

without_param(name) := json.remove(data.params.eu, {name})

high := fixtures.set("/environment/risk_class", "high")

test_the_package_says_which_jurisdiction_it_is if eu.id == "eu"

test_an_admissible_call_has_no_violation_and_no_warning if {
	eu.deny == set() with input as fixtures.facts
	eu.warn == set() with input as fixtures.facts
}

test_a_violation_says_all_that_is_needed_to_mend_it if {
	eu.deny == {{
		"code": "eu.art5_prohibited_practice",
		"jurisdiction": "eu",
		"message": "the declared purpose \"social-scoring\" is prohibited, or is not declared",
		"citation": "Regulation (EU) 2024/1689, Article 5(1)",
		"remedy": "Do not use a model for this purpose; declare the true purpose of the environment.",
		"subject": fixtures.environment_id,
	}} with input as fixtures.set("/environment/purpose", "social-scoring")
}

test_art5_every_listed_purpose_is_denied_however_it_is_spelt if {
	count(data.params.eu.prohibited_purposes) > 8
	every purpose in data.params.eu.prohibited_purposes {
		spelt := upper(replace(purpose, "-", "_ "))
		codes(fixtures.set("/environment/purpose", spelt)) == {"eu.art5_prohibited_practice"}
	}
}

test_art5_an_undeclared_purpose_is_denied if {
	codes(fixtures.set("/environment/purpose", " ")) == {"eu.art5_prohibited_practice"}
}

test_art5_a_missing_list_denies if {
	found := codes(fixtures.facts) with data.params.eu as without_param("prohibited_purposes")
	found == {"eu.art5_prohibited_practice"}
}

test_art6_high_risk_passes_with_a_regulators_approval if codes(high) == set()

test_art6_high_risk_without_it_is_denied if {
	patches := [
		[{"op": "remove", "path": "/adaptations/0/approvals/2"}],
		[{"op": "replace", "path": "/adaptations/0/approvals/2/jurisdictions", "value": ["us"]}],
		[{"op": "replace", "path": "/adaptations/0/approvals/2/not_after", "value": "2026-09-01T12:00:00Z"}],
	]
	every patch in patches {
		codes(json.patch(high, patch)) == {"eu.art6_high_risk"}
	}
}

test_art6_high_risk_reaches_a_base_model_that_no_one_adapted if {
	facts := json.patch(high, [{"op": "add", "path": "/request/models/-", "value": "base-1"}])
	{violation.subject | some violation in eu.deny with input as facts} == {"base-1"}
	codes(facts) == {"eu.art6_high_risk"}
}

test_art6_an_unknown_class_is_denied if {
	every class in ["", "Limited", "unacceptable"] {
		codes(fixtures.set("/environment/risk_class", class)) == {"eu.art6_high_risk"}
	}
}

test_art6_a_missing_list_denies if {
	found := codes(fixtures.facts) with data.params.eu as without_param("risk_classes_below_high")
	found == {"eu.art6_high_risk"}
}

test_art10_training_data_must_be_recorded if {
	every change in [
		fixtures.without("/adaptations/0/corpora/0"),
		fixtures.set("/adaptations/0/corpora/0/records", 0),
		fixtures.set("/adaptations/0/corpora/0/digest", "unhashed"),
	] {
		codes(change) == {"eu.art10_data_governance"}
	}
}

test_art10_held_out_data_must_be_there_and_separate if {
	every change in [
		fixtures.without("/adaptations/0/corpora/1"),
		fixtures.set("/adaptations/0/corpora/1/digest", fixtures.digest("b")),
		fixtures.set("/adaptations/0/corpora/1/records", 0),
	] {
		codes(change) == {"eu.art10_data_governance"}
	}
}

test_art10_a_missing_list_denies if {
	found := codes(fixtures.facts) with data.params.eu as without_param("held_out_roles")
	found == {"eu.art10_data_governance"}
}

test_art15_both_kinds_of_suite_must_reach_the_floor if {
	every change in [
		fixtures.without("/adaptations/0/suites/0"),
		fixtures.without("/adaptations/0/suites/1"),
		fixtures.set("/adaptations/0/suites/0/score", 0.79),
		fixtures.set("/adaptations/0/suites/1/score", 0.89),
	] {
		codes(change) == {"eu.art15_accuracy_robustness"}
	}
}

test_art15_a_missing_floor_denies if {
	every name in ["adversarial_floor", "regression_floor"] {
		found := codes(fixtures.facts) with data.params.eu as without_param(name)
		found == {"eu.art15_accuracy_robustness"}
	}
}

test_art26_an_owner_must_be_declared if {
	every owner in ["", "  ", "None", "n/a", "T.B.D."] {
		found := codes(fixtures.set("/environment/owner", owner)) with data.params.eu.undeclared as ["none", "n/a", "t.b.d."]
		found == {"eu.art26_human_oversight"}
	}
}

test_art26_a_missing_list_denies if {
	found := codes(fixtures.facts) with data.params.eu as without_param("undeclared")
	found == {"eu.art26_human_oversight"}
}

test_art43_a_compliance_suite_of_the_eu_must_be_recent if {
	every change in [
		fixtures.without("/adaptations/0/suites/2"),
		fixtures.set("/adaptations/0/suites/2/jurisdiction", "us"),
		fixtures.set("/adaptations/0/suites/2/performed", "2025-09-01T11:59:59Z"),
		fixtures.set("/adaptations/0/suites/2/performed", "2026-09-01T12:00:01Z"),
	] {
		codes(change) == {"eu.art43_conformity_evidence"}
	}
}

test_art43_a_missing_limit_denies if {
	found := codes(fixtures.facts) with data.params.eu as without_param("compliance_max_age_days")
	found == {"eu.art43_conformity_evidence"}
}

test_art43_an_ageing_result_warns_and_does_not_deny if {
	facts := fixtures.set("/adaptations/0/suites/2/performed", "2025-09-15T00:00:00Z")
	codes(facts) == set()
	eu.warn == {{
		"code": "eu.art43_conformity_ageing",
		"jurisdiction": "eu",
		"message": "the EU compliance result will soon be too old",
		"citation": "Regulation (EU) 2024/1689, Article 43(4)",
		"remedy": "Plan the next run of the EU compliance suite.",
		"subject": fixtures.model,
	}} with input as facts
}

test_each_adaptation_is_held_to_the_rules_by_itself if {
	poor := json.patch(fixtures.adaptation, [
		{"op": "replace", "path": "/model", "value": "ft:other"},
		{"op": "replace", "path": "/suites", "value": []},
	])
	facts := json.patch(fixtures.facts, [{"op": "add", "path": "/adaptations/-", "value": poor}])
	found := {[violation.code, violation.subject] | some violation in eu.deny with input as facts}
	found == {
		["eu.art15_accuracy_robustness", "ft:other"],
		["eu.art43_conformity_evidence", "ft:other"],
	}
}
