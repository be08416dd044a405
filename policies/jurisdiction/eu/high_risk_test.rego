package jurisdiction.eu_test

# The duties for high-risk use. A violation is one whether or not its date has come; the state says
# whether it denies.

import data.jurisdiction.eu
import data.lib.fixtures_test as fixtures

high(patches) := json.patch(
	fixtures.set("/environment/risk_class", "high"),
	patches,
)

replaced(path, value) := high([{"op": "replace", "path": path, "value": value}])

removed(path) := high([{"op": "remove", "path": path}])

test_high_risk_with_all_its_evidence_passes if {
	eu.deny == set() with input as high([])
	eu.warn == set() with input as high([])
}

test_the_duties_warn_until_their_date_and_bind_from_then_on if {
	facts := removed("/environment/declarations/human-oversight")
	eu.deny == {{
		"code": "eu.art26_human_oversight",
		"jurisdiction": "eu",
		"message": "the environment does not declare who oversees its use",
		"citation": "Regulation (EU) 2024/1689, Articles 14(1) and 26(2)",
		"remedy": "Declare human-oversight for the environment.",
		"subject": fixtures.environment_id,
		"term": "environment.declarations",
		"effective_on": "2027-12-02",
		"state": "pending",
		"authority": "",
	}} with input as facts
	later := json.patch(facts, [{"op": "replace", "path": "/now", "value": "2027-12-02T00:00:00Z"}])
	"enforced" in {violation.state |
		some violation in eu.deny with input as later
		violation.code == "eu.art26_human_oversight"
	}
}

# Without any evidence, a class below high is held to none of the duties, and any other to all.
bare := fixtures.patched([
	{"op": "replace", "path": "/environment/declarations", "value": {}},
	{"op": "replace", "path": "/adaptations/0/corpora", "value": []},
	{"op": "replace", "path": "/adaptations/0/suites", "value": []},
	{"op": "replace", "path": "/adaptations/0/approvals", "value": []},
	{"op": "replace", "path": "/adaptations/0/documents", "value": []},
	{"op": "replace", "path": "/adaptations/0/declarations", "value": {"gpai-modification": "minor"}},
])

duties := {
	"eu.art6_high_risk",
	"eu.art10_data_governance",
	"eu.art11_technical_documentation",
	"eu.art12_record_keeping",
	"eu.art13_instructions_for_use",
	"eu.art15_accuracy_robustness",
	"eu.art25_substantial_modification",
	"eu.art26_human_oversight",
	"eu.art26_intended_purpose",
	"eu.art43_conformity_evidence",
}

test_the_duties_bind_high_risk_and_what_nobody_knows if {
	codes(bare) == set()
	codes(json.patch(bare, [{"op": "replace", "path": "/environment/risk_class", "value": "high"}])) == duties
	unknown := json.patch(bare, [{"op": "replace", "path": "/environment/risk_class", "value": "other"}])
	codes(unknown) == duties | {"eu.art6_risk_class"}
	unlisted := codes(bare) with data.params.eu as without_param("risk_classes_below_high")
	unlisted == duties | {"eu.art6_risk_class"}
}

test_art6_high_risk_without_an_approval_is_denied if {
	every change in [
		removed("/adaptations/0/approvals/2"),
		replaced("/adaptations/0/approvals/2/jurisdictions", ["us"]),
		replaced("/adaptations/0/approvals/2/not_after", "2026-09-01T12:00:00Z"),
	] {
		codes(change) == {"eu.art6_high_risk"}
	}
}

test_art6_high_risk_reaches_a_base_model_that_no_one_adapted if {
	facts := high(fixtures.calling([fixtures.model, "base-1"]))
	{[violation.code, violation.subject] | some violation in eu.deny with input as facts} == {["eu.art6_high_risk", "base-1"]}
}

test_art6_high_risk_leaves_a_model_that_is_only_tuned_alone if {
	bare_base := [{"op": "replace", "path": "/adaptations", "value": []}]
	only_tuned := array.concat(fixtures.tuning(["base-1"]), bare_base)
	codes(high(only_tuned)) == set()

	# The base model that also grades what comes of it is run.
	grading := {"op": "replace", "path": "/request/run", "value": ["base-1"]}
	codes(high(array.concat(only_tuned, [grading]))) == {"eu.art6_high_risk"}
}

test_an_adaptation_that_is_tuned_further_is_held_to_all_but_the_approval if {
	further := array.concat(fixtures.tuning([fixtures.model]), [{"op": "remove", "path": "/adaptations/0/approvals/2"}])
	codes(high(further)) == set()
	unrecorded := array.concat(further, [{"op": "replace", "path": "/adaptations/0/corpora", "value": []}])
	codes(high(unrecorded)) == {"eu.art10_data_governance"}
}

test_art10_training_data_must_be_recorded if {
	every change in [
		removed("/adaptations/0/corpora/0"),
		replaced("/adaptations/0/corpora/0/records", 0),
		replaced("/adaptations/0/corpora/0/digest", "unhashed"),
	] {
		codes(change) == {"eu.art10_data_governance"}
	}
}

test_art10_held_out_data_must_be_there_and_separate if {
	every change in [
		removed("/adaptations/0/corpora/1"),
		replaced("/adaptations/0/corpora/1/digest", fixtures.digest("b")),
		replaced("/adaptations/0/corpora/1/records", 0),
	] {
		codes(change) == {"eu.art10_data_governance"}
	}
}

test_art11_technical_documentation_must_be_bound if {
	every change in [
		removed("/adaptations/0/documents/0"),
		replaced("/adaptations/0/documents/0/digest", "none"),
	] {
		codes(change) == {"eu.art11_technical_documentation"}
	}
}

test_art12_logs_must_be_kept_for_six_months if {
	codes(removed("/environment/declarations/log-retention-days")) == {"eu.art12_record_keeping"}
	codes(replaced("/environment/declarations/log-retention-days", "184")) == set()
	every text in ["183", "a year", "-400"] {
		codes(replaced("/environment/declarations/log-retention-days", text)) == {"eu.art12_record_keeping"}
	}
}

test_art13_instructions_must_be_bound if {
	codes(removed("/adaptations/0/documents/1")) == {"eu.art13_instructions_for_use"}
}

test_art15_both_kinds_of_suite_must_reach_the_floor if {
	every change in [
		removed("/adaptations/0/suites/0"),
		removed("/adaptations/0/suites/1"),
		replaced("/adaptations/0/suites/0/results/0/score", 0.79),
		replaced("/adaptations/0/suites/1/results/0/score", 0.89),
	] {
		codes(change) == {"eu.art15_accuracy_robustness"}
	}
}

test_art25_a_substantial_modification_must_be_answered_for if {
	path := "/adaptations/0/declarations/substantial-modification"
	codes(removed(path)) == {"eu.art25_substantial_modification"}
	every text in ["perhaps", "yes"] {
		codes(replaced(path, text)) == {"eu.art25_substantial_modification"}
	}
	provider := {"op": "add", "path": "/adaptations/0/declarations/provider", "value": "acme"}
	codes(high([{"op": "replace", "path": path, "value": "yes"}, provider])) == set()
	nobody := object.union(provider, {"value": "tbd"})
	codes(high([{"op": "replace", "path": path, "value": "yes"}, nobody])) == {"eu.art25_substantial_modification"}
}

test_art26_an_overseer_must_be_declared if {
	every text in [" ", "None", "n/a", "T.B.D."] {
		found := codes(replaced("/environment/declarations/human-oversight", text)) with data.params.eu.undeclared as ["none", "n/a", "t.b.d."]
		found == {"eu.art26_human_oversight"}
	}
}

test_art26_the_purpose_must_be_the_intended_one if {
	codes(removed("/adaptations/0/declarations/intended-purpose")) == {"eu.art26_intended_purpose"}
	codes(replaced("/environment/purpose", "credit-scoring")) == {"eu.art26_intended_purpose"}
	codes(replaced("/environment/purpose", "Customer Support")) == set()
}

test_art26_a_purpose_that_says_nothing_is_no_intended_one if {
	every text in ["tbd", "-", ""] {
		change := high([
			{"op": "replace", "path": "/environment/purpose", "value": text},
			{"op": "replace", "path": "/adaptations/0/declarations/intended-purpose", "value": text},
		])
		{"eu.art26_intended_purpose", "eu.art5_prohibited_practice"} - codes(change) == set()
	}
}

test_art43_a_compliance_suite_of_the_eu_must_be_recent if {
	every change in [
		removed("/adaptations/0/suites/2"),
		replaced("/adaptations/0/suites/2/jurisdiction", "us"),
		replaced("/adaptations/0/suites/2/results/0/performed", "2025-09-01T11:59:59Z"),
		replaced("/adaptations/0/suites/2/results/0/performed", "2026-09-01T12:00:01Z"),
	] {
		codes(change) == {"eu.art43_conformity_evidence"}
	}
}

test_art43_an_ageing_result_warns_and_does_not_deny if {
	facts := replaced("/adaptations/0/suites/2/results/0/performed", "2025-09-15T00:00:00Z")
	codes(facts) == set()
	{warning.code | some warning in eu.warn with input as facts} == {"eu.art43_conformity_ageing"}
	limited := fixtures.set("/adaptations/0/suites/2/results/0/performed", "2025-09-15T00:00:00Z")
	eu.warn == set() with input as limited
}

test_missing_data_denies_each_duty_that_needs_it if {
	needed := {
		"held_out_roles": {"eu.art10_data_governance"},
		"log_retention_days": {"eu.art12_record_keeping"},
		"adversarial_floor": {"eu.art15_accuracy_robustness"},
		"regression_floor": {"eu.art15_accuracy_robustness"},
		"denials": {"eu.art25_substantial_modification"},
		"undeclared": {"eu.art5_prohibited_practice", "eu.art26_human_oversight", "eu.art26_intended_purpose"},
		"compliance_max_age_days": {"eu.art43_conformity_evidence"},
	}
	every name, expected in needed {
		found := codes(high([])) with data.params.eu as without_param(name)
		found == expected
	}
	yes := high([
		{"op": "replace", "path": "/adaptations/0/declarations/substantial-modification", "value": "yes"},
		{"op": "add", "path": "/adaptations/0/declarations/provider", "value": "acme"},
	])
	found := codes(yes) with data.params.eu as without_param("affirmations")
	found == {"eu.art25_substantial_modification"}
}
