package jurisdiction["eu-finance_test"]

import data.jurisdiction["eu-finance"] as rules
import data.lib.fixtures_test as fixtures

codes(facts) := {violation.code | some violation in rules.deny with input as facts}

test_the_package_says_which_sector_it_is if rules.id == "eu-finance"

# Calls that are admitted; each threshold and list decides at least one of them.
admissible := {fixtures.within(["eu"], "finance")}

test_an_admissible_call_has_no_violation if {
	every facts in admissible {
		codes(facts) == set()
	}
}

test_the_provider_must_be_in_the_register if {
	rules.deny == {{
		"code": "eu-finance.dora_register",
		"jurisdiction": "eu-finance",
		"message": "the environment declares no reference to the register of ICT third-party arrangements",
		"citation": "Regulation (EU) 2022/2554 (DORA), Article 28(3)",
		"remedy": "Enter the contract in the register and declare ict-register-reference for the environment.",
		"subject": fixtures.environment_id,
		"term": "environment.declarations",
		"effective_on": "2025-01-17",
		"state": "enforced",
		"authority": "",
	}} with input as fixtures.undeclared("ict-register-reference")
	codes(fixtures.declaring("ict-register-reference", "T-B-D")) == {"eu-finance.dora_register"}
}

test_model_risk_must_sign_off_with_the_customers_approval if {
	path := "/adaptations/0/approvals/1/declarations/model-risk-sign-off"
	every change in [
		fixtures.without(path),
		fixtures.set(path, "none"),
		fixtures.without("/adaptations/0/approvals/1"),
		fixtures.set("/adaptations/0/approvals/1/not_after", fixtures.facts.now),
	] {
		codes(change) == {"eu-finance.model_risk_sign_off"}
	}
}

test_missing_data_denies if {
	found := codes(fixtures.facts) with data.params["eu-finance"] as {}
	found == {"eu-finance.dora_register", "eu-finance.model_risk_sign_off"}
}
