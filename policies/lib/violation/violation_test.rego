package lib.violation_test

import data.lib.violation

test_a_violation_takes_its_words_from_the_annotation if {
	rule := {"custom": {"code": "eu.x", "citation": "Article 1", "remedy": "Do it."}}
	violation.new(rule, "m", "text") == {
		"code": "eu.x",
		"jurisdiction": "eu",
		"message": "text",
		"citation": "Article 1",
		"remedy": "Do it.",
		"subject": "m",
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
	}
}

test_the_caller_may_name_the_jurisdiction if {
	violation.about({"custom": {"code": "eu.x"}}, "us", "m", "text").jurisdiction == "us"
}
