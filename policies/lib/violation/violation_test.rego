package lib.violation_test

import data.lib.fixtures_test as fixtures
import data.lib.violation

custom := {
	"code": "eu.x",
	"citation": "Article 1",
	"remedy": "Do it.",
	"term": "environment.owner",
	"effective_on": "2026-09-02",
	"state": "enforced",
}

changed(field, value) := {"custom": object.union(custom, {field: value})}

state(rule, early) := said if {
	said := violation.state(rule) with input as fixtures.facts
		with data.params.admission.enforce_early as early
}

test_a_violation_takes_its_words_from_the_annotation if {
	made := violation.new({"custom": custom}, "m", "text") with input as fixtures.facts
	made == {
		"code": "eu.x",
		"jurisdiction": "eu",
		"message": "text",
		"citation": "Article 1",
		"remedy": "Do it.",
		"subject": "m",
		"term": "environment.owner",
		"effective_on": "2026-09-02",
		"state": "pending",
		"authority": "",
	}
}

test_a_rule_without_annotation_still_denies if {
	violation.new({}, "m", "text") == {
		"code": "unnamed_rule",
		"jurisdiction": "unnamed_rule",
		"message": "text",
		"citation": "",
		"remedy": "",
		"subject": "m",
		"term": "",
		"effective_on": "",
		"state": "enforced",
		"authority": "",
	}
}

test_a_code_that_is_no_text_is_none if {
	every code in ["", 7, null, ["eu.x"]] {
		violation.new(changed("code", code), "m", "text").code == "unnamed_rule" with input as fixtures.facts
	}
}

test_the_caller_may_name_the_jurisdiction if {
	violation.about({"custom": custom}, "us", "m", "text").jurisdiction == "us"
}

test_a_rule_is_pending_until_the_day_its_provision_applies if {
	state(changed("effective_on", "2026-09-02"), []) == "pending"
	state(changed("effective_on", "2026-09-01"), []) == "enforced"
	said := violation.state({"custom": custom}) with input as fixtures.set("/now", "2026-09-02T00:00:00Z")
	said == "enforced"
}

test_a_rule_in_shadow_never_denies if {
	state(changed("state", "shadow"), []) == "shadow"
	state(changed("state", "shadow"), ["eu.x"]) == "shadow"
	state(changed("state", "Shadow"), ["eu.x"]) == "enforced"
}

test_an_operator_may_bring_a_rule_forward if {
	state({"custom": custom}, ["eu.x"]) == "enforced"
	state({"custom": custom}, ["eu.y"]) == "pending"
}

test_in_doubt_a_rule_is_enforced if {
	every early in [null, "eu.y", {"a": "eu.y"}] {
		state({"custom": custom}, early) == "enforced"
	}
	every date in ["", "soon", "2026-9-2", "2026-13-02", 20270902, null] {
		state(changed("effective_on", date), []) == "enforced"
	}
	said := violation.state({"custom": custom}) with input as fixtures.set("/now", "today")
	said == "enforced"
}
