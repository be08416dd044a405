package jurisdiction.eu_test

import data.jurisdiction.eu
import data.lib.fixtures_test as fixtures

codes(facts) := {violation.code | some violation in eu.deny with input as facts}

without_param(name) := json.remove(data.params.eu, {name})

significant := {"op": "replace", "path": "/adaptations/0/declarations/gpai-modification", "value": "significant"}

papers := ["technical-documentation", "copyright-policy", "training-content-summary"]

bound(kinds) := {"op": "replace", "path": "/adaptations/0/documents", "value": [fixtures.document(kind) | some kind in kinds]}

test_the_package_says_which_jurisdiction_it_is if eu.id == "eu"

# Calls that are admitted; each threshold and list decides at least one of them.
admissible := {
	fixtures.within(["eu"], "finance"),
	high([]),
	high([
		{"op": "replace", "path": "/adaptations/0/declarations/substantial-modification", "value": "yes"},
		{"op": "add", "path": "/adaptations/0/declarations/provider", "value": "acme"},
	]),
}

test_an_admissible_call_has_no_violation_and_no_warning if {
	every facts in admissible {
		eu.deny == set() with input as facts
		eu.warn == set() with input as facts
	}
}

test_a_violation_says_all_that_is_needed_to_mend_it if {
	eu.deny == {{
		"code": "eu.art5_prohibited_practice",
		"jurisdiction": "eu",
		"message": "the declared purpose \"social-scoring\" is prohibited, or is not declared",
		"citation": "Regulation (EU) 2024/1689, Article 5(1)",
		"remedy": "Do not use a model for this purpose; declare the true purpose of the environment.",
		"subject": fixtures.environment_id,
		"term": "environment.purpose",
		"effective_on": "2025-02-02",
		"state": "enforced",
		"authority": "",
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
	codes(fixtures.set("/environment/purpose", " ")) == {"eu.art5_intimate_imagery", "eu.art5_prohibited_practice"}
	every text in ["TBD", "n/a", "unknown"] {
		codes(fixtures.set("/environment/purpose", text)) == {"eu.art5_prohibited_practice"}
	}
}

test_art5_a_missing_list_denies if {
	found := codes(fixtures.facts) with data.params.eu as without_param("prohibited_purposes")
	found == {"eu.art5_prohibited_practice"}
}

test_art5_imagery_without_consent_is_denied_however_it_is_spelt if {
	count(data.params.eu.intimate_imagery_purposes) > 1
	every purpose in data.params.eu.intimate_imagery_purposes {
		spelt := upper(replace(purpose, "-", "_ "))
		codes(fixtures.set("/environment/purpose", spelt)) == {"eu.art5_intimate_imagery"}
	}
}

test_art5_imagery_warns_until_the_amendment_applies if {
	facts := fixtures.set("/environment/purpose", "child-sexual-abuse-material")
	{violation.state | some violation in eu.deny with input as facts} == {"pending"}
	later := json.patch(facts, [{"op": "replace", "path": "/now", "value": "2026-12-02T00:00:00Z"}])
	{violation.state | some violation in eu.deny with input as later} == {"enforced"}
}

test_art5_a_missing_list_of_imagery_denies if {
	found := codes(fixtures.facts) with data.params.eu as without_param("intimate_imagery_purposes")
	found == {"eu.art5_intimate_imagery"}
}

test_art6_the_known_classes_pass if {
	every class in ["minimal", "limited", "high"] {
		codes(fixtures.set("/environment/risk_class", class)) == set()
	}
}

test_art6_an_unknown_class_is_denied if {
	every class in ["", "Limited", "unacceptable"] {
		codes(fixtures.set("/environment/risk_class", class)) == {"eu.art6_risk_class"}
	}
}

test_art6_a_missing_list_denies if {
	found := codes(fixtures.facts) with data.params.eu as without_param("risk_classes_below_high")
	found == {"eu.art6_risk_class"}
}

test_art53_the_modification_must_be_declared if {
	every change in [
		fixtures.without("/adaptations/0/declarations/gpai-modification"),
		fixtures.set("/adaptations/0/declarations/gpai-modification", "slight"),
	] {
		codes(change) == {"eu.art53_modification_declared", "eu.art53_modifier_duties"}
	}
}

test_art53_a_significant_modification_needs_its_papers if {
	codes(fixtures.patched([significant, bound(papers)])) == set()
	every missing in papers {
		left := [kind | some kind in papers; kind != missing]
		codes(fixtures.patched([significant, bound(left)])) == {"eu.art53_modifier_duties"}
	}
}

test_art53_a_missing_list_denies if {
	undeclared := codes(fixtures.facts) with data.params.eu as without_param("modifications")
	undeclared == {"eu.art53_modification_declared"}
	unproven := codes(fixtures.facts) with data.params.eu as without_param("modifications_below_significant")
	unproven == {"eu.art53_modifier_duties"}
}

test_each_adaptation_is_held_to_the_rules_by_itself if {
	poor := json.patch(fixtures.adaptation, [
		{"op": "replace", "path": "/model", "value": "ft:other"},
		{"op": "replace", "path": "/declarations", "value": {}},
	])
	facts := json.patch(fixtures.facts, [{"op": "add", "path": "/adaptations/-", "value": poor}])
	found := {[violation.code, violation.subject] | some violation in eu.deny with input as facts}
	found == {
		["eu.art53_modification_declared", "ft:other"],
		["eu.art53_modifier_duties", "ft:other"],
	}
}
