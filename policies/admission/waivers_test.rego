package admission_test

# What does not deny, and why: rules in shadow or not yet in force, and waivers.

import data.admission
import data.lib.fixtures_test as fixtures

waiver := {
	"rule": "eu-finance.dora_register",
	"jurisdiction": "eu",
	"subject": fixtures.environment_id,
	"authority": "the-regulator",
	"reason": "The register is being moved.",
	"not_after": "2026-12-01T00:00:00Z",
}

waiving(waivers) := json.patch(fixtures.undeclared("ict-register-reference"), [{
	"op": "replace",
	"path": "/waivers",
	"value": waivers,
}])

unregistered(state, authority) := {
	"code": "eu-finance.dora_register",
	"jurisdiction": "eu-finance",
	"message": "the environment declares no reference to the register of ICT third-party arrangements",
	"citation": "Regulation (EU) 2022/2554 (DORA), Article 28(3)",
	"remedy": "Enter the contract in the register and declare ict-register-reference for the environment.",
	"subject": fixtures.environment_id,
	"term": "environment.declarations",
	"effective_on": "2025-01-17",
	"state": state,
	"authority": authority,
}

test_a_waiver_excuses_one_rule_and_is_seen if {
	answer := decide(waiving([waiver]))
	answer.allow == true
	answer.violations == []
	answer.warnings == [unregistered("waived", "the-regulator")]
	answer.jurisdictions["eu-finance"] == satisfied
}

test_a_waiver_names_rule_jurisdiction_and_subject_exactly if {
	every change in [
		{"rule": "eu-finance.model_risk_sign_off"},
		{"rule": "eu-finance"},
		{"rule": "eu-finance.*"},
		{"jurisdiction": "eu-finance"},
		{"jurisdiction": "us"},
		{"subject": fixtures.model},
		{"subject": "spiffe://acme.example/other"},
		{"not_after": fixtures.facts.now},
	] {
		answer := decide(waiving([object.union(waiver, change)]))
		answer.allow == false
		answer.violations == [unregistered("enforced", "")]
		answer.warnings == []
	}
}

test_a_waiver_for_a_model_excuses_that_model_only if {
	other := object.union(fixtures.adaptation, {"model": "ft:other", "evaluations": []})
	facts := fixtures.patched([
		{"op": "replace", "path": "/adaptations/0/evaluations", "value": []},
		{"op": "add", "path": "/request/models/-", "value": "ft:other"},
		{"op": "add", "path": "/request/run/-", "value": "ft:other"},
		{"op": "add", "path": "/adaptations/-", "value": other},
		{"op": "replace", "path": "/waivers", "value": [object.union(waiver, {
			"rule": "us.measure_performance",
			"jurisdiction": "us",
			"subject": fixtures.model,
		})]},
	])
	answer := decide(facts)
	answer.allow == false
	{[violation.code, violation.subject] | some violation in answer.violations} == {["us.measure_performance", "ft:other"]}
	{[warning.state, warning.subject] | some warning in answer.warnings} == {["waived", fixtures.model]}
}

in_eu_and_zz(waivers) := json.patch(waiving(waivers), [{
	"op": "replace",
	"path": "/environment/jurisdictions",
	"value": ["eu", "zz"],
}])

decided_in_eu_and_zz(waivers) := answer if {
	zz := {"id": "zz", "deny": set()}
	answer := admission.decision with input as in_eu_and_zz(waivers)
		with data.revision as "r-1"
		with data.jurisdiction.zz as zz
		with data.params.zz.sectors as {"finance": "eu-finance"}
}

test_a_package_asked_for_by_two_jurisdictions_is_waived_by_both if {
	decided_in_eu_and_zz([waiver]).violations == [unregistered("enforced", "")]
	theirs := object.union(waiver, {"jurisdiction": "zz", "authority": "their-regulator"})
	both := decided_in_eu_and_zz([waiver, theirs])
	both.violations == []
	both.warnings == [unregistered("waived", "the-regulator, their-regulator")]
}

test_what_concerns_the_call_as_a_whole_cannot_be_waived if {
	codes_of := ["facts_malformed", "policy_data_missing", "jurisdiction_unknown", "sector_unknown"]
	every change in [
		{"path": "/nonce", "value": "", "code": "facts_malformed", "subject": "nonce"},
		{"path": "/environment/jurisdictions", "value": ["zz"], "code": "jurisdiction_unknown", "subject": "zz"},
		{"path": "/environment/sector", "value": "alchemy", "code": "sector_unknown", "subject": fixtures.environment_id},
	] {
		waivers := [object.union(waiver, {"rule": code, "jurisdiction": jurisdiction, "subject": change.subject}) |
			some code in codes_of
			some jurisdiction in ["eu", "us", "zz"]
		]
		answer := decide(fixtures.patched([
			{"op": "replace", "path": change.path, "value": change.value},
			{"op": "replace", "path": "/waivers", "value": waivers},
		]))
		answer.allow == false
		change.code in {violation.code | some violation in answer.violations}
	}
	answer := admission.decision with data.revision as ""
		with input as waiving([waiver, object.union(waiver, {"rule": "policy_data_missing", "subject": "data.revision"})])
	[violation.code | some violation in answer.violations] == ["policy_data_missing"]
}

test_a_violation_whose_code_is_not_its_packages_cannot_be_waived if {
	every code in ["unnamed_rule", "us.other", "eu-finance"] {
		found := object.union(unregistered("enforced", ""), {"code": code})
		answer := admission.decision with input as waiving([object.union(waiver, {"rule": code})])
			with data.revision as "r-1"
			with data.jurisdiction["eu-finance"].deny as {found}
		answer.violations == [found]
	}
}

test_waivers_that_are_malformed_deny if {
	codes(waiving(null)) == {"facts_malformed"}
	codes(waiving([object.remove(waiver, ["reason"])])) == {"facts_malformed"}
}

ending(waived) := {
	"code": "waiver_ending",
	"jurisdiction": "eu",
	"message": sprintf("the waiver of the-regulator for eu-finance.dora_register ends at %v", [waived.not_after]),
	"citation": "docs/policy-authors.md, \"Waivers\"",
	"remedy": "Meet the rule, or ask the regulator for another waiver.",
	"subject": fixtures.environment_id,
	"term": "waivers[].not_after",
	"effective_on": "",
	"state": "advisory",
	"authority": "the-regulator",
}

test_a_waiver_that_ends_within_thirty_days_warns_in_addition if {
	soon := object.union(waiver, {"not_after": "2026-10-01T11:59:59Z"})
	answer := decide(waiving([soon]))
	answer.allow == true
	answer.warnings == [unregistered("waived", "the-regulator"), ending(soon)]
	[warning.code | some warning in answer.warnings] == ["eu-finance.dora_register", "waiver_ending"]
	later := object.union(waiver, {"not_after": "2026-10-01T12:00:00Z"})
	decide(waiving([later])).warnings == [unregistered("waived", "the-regulator")]
}

test_without_a_bound_every_waiver_warns if {
	answer := admission.decision with input as waiving([waiver])
		with data.revision as "r-1"
		with data.params.admission.waiver_warning_days as null
	answer.warnings == [unregistered("waived", "the-regulator"), ending(waiver)]
}

test_a_waiver_that_excuses_nothing_says_nothing if {
	soon := object.union(waiver, {"not_after": "2026-09-02T00:00:00Z"})
	decide(fixtures.set("/waivers", [soon])).warnings == []
}

test_a_rule_in_shadow_or_not_yet_in_force_warns_and_does_not_deny if {
	every state in ["shadow", "pending"] {
		found := unregistered(state, "")
		answer := admission.decision with input as fixtures.facts
			with data.revision as "r-1"
			with data.jurisdiction["eu-finance"].deny as {found}
		answer.allow == true
		answer.violations == []
		answer.warnings == [found]
	}
}

test_a_violation_of_any_other_state_or_shape_denies if {
	every found in [unregistered("", ""), unregistered("waived", ""), {"code": "eu-finance.x"}, "never", 7, null] {
		answer := admission.decision with input as fixtures.facts
			with data.revision as "r-1"
			with data.jurisdiction["eu-finance"].deny as {found}
		answer.allow == false
		answer.violations == [found]
	}
}

test_a_high_risk_duty_brought_forward_denies if {
	facts := json.patch(fixtures.undeclared("human-oversight"), [{"op": "replace", "path": "/environment/risk_class", "value": "high"}])
	answer := decide(facts)
	answer.allow == true
	[[warning.code, warning.state] | some warning in answer.warnings] == [["eu.art26_human_oversight", "pending"]]
	early := admission.decision with input as facts
		with data.revision as "r-1"
		with data.params.admission.enforce_early as ["eu.art26_human_oversight"]
	early.allow == false
	[[violation.code, violation.state] | some violation in early.violations] == [["eu.art26_human_oversight", "enforced"]]
}

test_what_a_rule_advises_is_marked_as_advice if {
	answer := decide(fixtures.set("/adaptations/0/approvals/0/not_after", "2026-09-20T00:00:00Z"))
	[[warning.code, warning.state] | some warning in answer.warnings] == [["us.manage_approval_ending", "advisory"]]
}
