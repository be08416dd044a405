package admission_test

# Sectors: which packages a call is held to.

import data.admission
import data.lib.fixtures_test as fixtures

asked(jurisdictions, sector) := object.keys(decide(fixtures.patched([
	{"op": "replace", "path": "/environment/jurisdictions", "value": jurisdictions},
	{"op": "replace", "path": "/environment/sector", "value": sector},
])).jurisdictions)

test_a_call_is_held_to_its_sector_in_every_jurisdiction if {
	asked(["eu"], "finance") == {"eu", "eu-finance"}
	asked(["eu", "us", "uk"], "finance") == {"eu", "eu-finance", "us", "us-finance", "uk"}
	asked(["us"], "healthcare") == {"us", "us-healthcare"}
	asked(["us", "eu"], "defense") == {"us", "us-defense", "eu"}
	asked(["eu"], "retail") == {"eu"}
}

test_a_violation_of_a_sector_denies_and_is_the_sectors if {
	answer := decide(fixtures.undeclared("ict-register-reference"))
	answer.allow == false
	answer.jurisdictions.eu == satisfied
	[violation.code | some violation in answer.violations] == ["eu-finance.dora_register"]
	[violation.jurisdiction | some violation in answer.violations] == ["eu-finance"]
	answer.jurisdictions["eu-finance"] == {"allow": false, "violations": answer.violations}
}

sector_unknown(id, sector) := {
	"code": "sector_unknown",
	"jurisdiction": id,
	"message": sprintf("jurisdiction %q does not know the sector %q", [id, sector]),
	"citation": "docs/policy-authors.md, \"Sectors\"",
	"remedy": "Name the sector in the jurisdiction's data, with its package or null, or correct the environment declaration.",
	"subject": fixtures.environment_id,
	"term": "environment.sector",
	"effective_on": "",
	"state": "enforced",
	"authority": "",
}

test_a_sector_that_a_jurisdiction_does_not_know_is_denied if {
	codes(fixtures.set("/environment/sector", "")) == {"sector_unknown", "us.map_purpose"}
	every sector in ["alchemy", "Finance"] {
		answer := decide(fixtures.set("/environment/sector", sector))
		answer.allow == false
		answer.jurisdictions == {
			"eu": {"allow": false, "violations": [sector_unknown("eu", sector)]},
			"us": {"allow": false, "violations": [sector_unknown("us", sector)]},
		}
	}
}

test_a_map_of_sectors_that_is_missing_or_of_another_type_denies if {
	every sectors in [null, [], "finance", {}, {"finance": 7}, {"finance": ""}, {"finance": ["eu-finance"]}] {
		answer := admission.decision with input as fixtures.facts
			with data.revision as "r-1"
			with data.params.eu.sectors as sectors
		answer.allow == false
		"sector_unknown" in {violation.code | some violation in answer.violations}
	}
}

test_a_sectors_package_that_is_not_loaded_is_denied_by_name if {
	answer := admission.decision with input as fixtures.set("/environment/jurisdictions", ["eu"])
		with data.revision as "r-1"
		with data.params.eu.sectors as {"finance": "eu-banking"}
	answer.allow == false
	answer.violations == [unknown("eu-banking")]
}

test_a_sectors_package_is_no_jurisdiction_by_itself if {
	answer := decide(fixtures.set("/environment/jurisdictions", ["eu-finance"]))
	answer.allow == false
	answer.violations == [sector_unknown("eu-finance", "finance")]
}
