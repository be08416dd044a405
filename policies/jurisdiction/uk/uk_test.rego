package jurisdiction.uk_test

import data.jurisdiction.uk
import data.lib.fixtures_test as fixtures

codes(facts) := {violation.code | some violation in uk.deny with input as facts}

test_the_package_says_which_jurisdiction_it_is if uk.id == "uk"

# Calls that are admitted; each threshold and list decides at least one of them.
admissible := {
	fixtures.within(["uk"], "finance"),
	json.patch(fixtures.within(["uk"], "general"), [
		{"op": "replace", "path": "/environment/declarations/automated-decisions", "value": "significant"},
		{"op": "add", "path": "/environment/declarations/human-intervention", "value": "appeals desk"},
	]),
}

test_an_admissible_call_has_no_violation if {
	every facts in admissible {
		codes(facts) == set()
	}
}

test_a_significant_decision_can_be_taken_to_a_person if {
	every change in [
		fixtures.undeclared("automated-decisions"),
		fixtures.declaring("automated-decisions", "significant"),
	] {
		codes(change) == {"uk.art22c_human_intervention"}
		intervention := {"op": "add", "path": "/environment/declarations/human-intervention", "value": "appeals desk"}
		codes(json.patch(change, [intervention])) == set()
		codes(json.patch(change, [object.union(intervention, {"value": "tbd"})])) == {"uk.art22c_human_intervention"}
	}
}

test_training_on_personal_data_was_assessed if {
	assessment := {
		"op": "add",
		"path": "/adaptations/0/documents/-",
		"value": fixtures.document("data-protection-impact-assessment"),
	}
	every classes in [["Personal Data"], ["synthetic", "special-category-data"], []] {
		change := fixtures.set("/adaptations/0/corpora/0/classes", classes)
		codes(change) == {"uk.art35_impact_assessment"}
		codes(json.patch(change, [assessment])) == set()
	}
}

test_missing_data_denies if {
	unlisted := codes(fixtures.facts) with data.params.uk as json.remove(data.params.uk, {"personal_data"})
	unlisted == {"uk.art35_impact_assessment"}
	decided := json.patch(fixtures.facts, [
		{"op": "replace", "path": "/environment/declarations/automated-decisions", "value": "significant"},
		{"op": "add", "path": "/environment/declarations/human-intervention", "value": "appeals desk"},
	])
	found := codes(decided) with data.params.uk as json.remove(data.params.uk, {"undeclared"})
	found == {"uk.art22c_human_intervention"}
}
