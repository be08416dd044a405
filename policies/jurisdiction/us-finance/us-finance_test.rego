package jurisdiction["us-finance_test"]

import data.jurisdiction["us-finance"] as rules
import data.lib.fixtures_test as fixtures

codes(facts) := {violation.code | some violation in rules.deny with input as facts}

without_param(name) := json.remove(data.params["us-finance"], {name})

test_the_package_says_which_sector_it_is if rules.id == "us-finance"

# Calls that are admitted; each threshold and list decides at least one of them.
admissible := {fixtures.within(["us"], "finance")}

test_an_admissible_call_has_no_violation if {
	every facts in admissible {
		codes(facts) == set()
	}
}

test_validation_is_independent_of_the_producer if {
	codes(fixtures.set("/adaptations/0/suites", [])) == {"us-finance.independent_validation", "us-finance.ongoing_monitoring"}
	path := "/adaptations/0/approvals/1/declarations/independent-validation"
	every change in [
		fixtures.without(path),
		fixtures.set(path, "Unknown"),
		fixtures.set("/adaptations/0/suites/3/results/0/evaluator", "acme-ml"),
	] {
		codes(change) == {"us-finance.independent_validation"}
	}
}

test_the_challenge_is_declared_with_the_customers_approval if {
	path := "/adaptations/0/approvals/1/declarations/effective-challenge"
	codes(fixtures.without(path)) == {"us-finance.effective_challenge"}
	codes(fixtures.set(path, "tbd")) == {"us-finance.effective_challenge"}
	codes(fixtures.set("/adaptations/0/approvals/1/role", "auditor")) == {
		"us-finance.effective_challenge",
		"us-finance.independent_validation",
	}
}

test_the_model_is_monitored_by_plan_and_recently if {
	every change in [
		fixtures.undeclared("monitoring-plan"),
		fixtures.set("/adaptations/0/suites/1/results/0/performed", "2025-09-01T11:59:59Z"),
		fixtures.without("/adaptations/0/suites/1"),
	] {
		codes(change) == {"us-finance.ongoing_monitoring"}
	}
}

test_missing_data_denies if {
	unbounded := codes(fixtures.facts) with data.params["us-finance"] as without_param("monitoring_max_age_days")
	unbounded == {"us-finance.ongoing_monitoring"}
	unlisted := codes(fixtures.facts) with data.params["us-finance"] as without_param("undeclared")
	unlisted == {
		"us-finance.effective_challenge",
		"us-finance.independent_validation",
		"us-finance.ongoing_monitoring",
	}
}
