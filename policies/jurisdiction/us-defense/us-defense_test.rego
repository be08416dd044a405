package jurisdiction["us-defense_test"]

import data.jurisdiction["us-defense"] as rules
import data.lib.fixtures_test as fixtures

codes(facts) := {violation.code | some violation in rules.deny with input as facts}

without_param(name) := json.remove(data.params["us-defense"], {name})

declared(name, text) := {"op": "add", "path": concat("/", ["/environment/declarations", name]), "value": text}

test_the_package_says_which_sector_it_is if rules.id == "us-defense"

# Calls that are admitted; each threshold and list decides at least one of them.
admissible := {
	fixtures.within(["us"], "defense"),
	json.patch(fixtures.within(["us"], "defense"), [
		declared("weapon-function", "yes"),
		declared("autonomy-review", "AR-9"),
		declared("human-judgment", "operator"),
	]),
}

test_an_admissible_call_has_no_violation if {
	every facts in admissible {
		codes(facts) == set()
	}
}

test_a_weapon_function_needs_review_and_human_judgment if {
	weapon := declared("weapon-function", "yes")
	review := declared("autonomy-review", "AR-9")
	judgment := declared("human-judgment", "operator confirms each engagement")
	codes(fixtures.patched([weapon, review, judgment])) == set()
	every patches in [
		[weapon],
		[weapon, review],
		[weapon, judgment],
		[weapon, review, declared("human-judgment", "none")],
		[{"op": "remove", "path": "/environment/declarations/weapon-function"}],
	] {
		codes(fixtures.patched(patches)) == {"us-defense.autonomy_review"}
	}
}

test_the_ethical_principles_are_assessed if {
	codes(fixtures.without("/adaptations/0/documents/2")) == {"us-defense.responsible_ai"}
}

test_an_export_controlled_corpus_needs_an_authorization if {
	authorized := {"op": "add", "path": "/adaptations/0/declarations/export-authorization", "value": "TAA-1"}
	every classes in [["ITAR"], ["synthetic", "export controlled"], []] {
		change := {"op": "replace", "path": "/adaptations/0/corpora/1/classes", "value": classes}
		codes(fixtures.patched([change])) == {"us-defense.export_controlled_corpora"}
		codes(fixtures.patched([change, authorized])) == set()
		nothing := object.union(authorized, {"value": "none"})
		codes(fixtures.patched([change, nothing])) == {"us-defense.export_controlled_corpora"}
	}
}

test_the_environment_is_cleared if {
	codes(fixtures.undeclared("impact-level")) == {"us-defense.cleared_environment"}
	codes(fixtures.declaring("impact-level", "IL2")) == {"us-defense.cleared_environment"}
}

test_missing_data_denies if {
	needed := {
		"denials": {"us-defense.autonomy_review"},
		"export_controlled": {"us-defense.export_controlled_corpora"},
		"impact_levels": {"us-defense.cleared_environment"},
	}
	every name, expected in needed {
		found := codes(fixtures.facts) with data.params["us-defense"] as without_param(name)
		found == expected
	}
	reviewed := fixtures.patched([
		declared("weapon-function", "yes"),
		declared("autonomy-review", "AR-9"),
		declared("human-judgment", "operator"),
	])
	found := codes(reviewed) with data.params["us-defense"] as without_param("undeclared")
	found == {"us-defense.autonomy_review"}
}
