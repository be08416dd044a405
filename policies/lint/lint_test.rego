package lint_test

import data.lint

source := `package jurisdiction.xx

import data.lib.violation

id := "xx"

deny contains violation.new(rego.metadata.rule(), "s", "m") if not good

good if input.now
`

its_test := `package jurisdiction.xx_test

admissible := {{"now": "2026-09-01T12:00:00Z"}}

test_one if {
	"xx.one" in data.jurisdiction.xx.deny
}

helper := "xx.two"
`

custom := {
	"code": "xx.one",
	"citation": "Law of X, Article 1",
	"remedy": "Do it.",
	"term": "now",
	"effective_on": "2024-02-29",
	"state": "enforced",
}

about := {"scope": "rule", "title": "One", "description": "What it checks.", "custom": custom}

introduction := {"scope": "package", "title": "X", "description": "The law of X."}

annotated(text, annotation) := json.patch(rego.parse_module("xx.rego", text), [
	{"op": "add", "path": "/annotations", "value": [introduction]},
	{"op": "add", "path": "/rules/1/annotations", "value": [annotation]},
])

modules := {
	"jurisdiction/xx/xx.rego": annotated(source, about),
	"jurisdiction/xx/xx_test.rego": rego.parse_module("xx_test.rego", its_test),
}

# A whole module takes the place of another; a union alone would mix the two.
with_modules(changed) := object.union(object.remove(modules, object.keys(changed)), changed)

messages(changed) := {problem.message |
	some problem in lint.problems with input as {"modules": with_modules(changed)}
}

with_source(text) := messages({"jurisdiction/xx/xx.rego": annotated(text, about)})

with_about(annotation) := messages({"jurisdiction/xx/xx.rego": annotated(source, annotation)})

with_custom(field, value) := with_about(object.union(about, {"custom": object.union(custom, {field: value})}))

without_custom(field) := with_about(json.patch(about, [{"op": "remove", "path": concat("/", ["/custom", field])}]))

test_what_may_be_merged_has_no_problem if messages({}) == set()

test_a_problem_says_where_it_is if {
	changed := {"jurisdiction/xx/xx.rego": annotated(source, json.remove(about, {"title"}))}
	lint.problems == {{
		"file": "jurisdiction/xx/xx.rego",
		"row": 1,
		"code": "xx.one",
		"message": "the rule has no title",
	}} with input as {"modules": with_modules(changed)}
}

test_a_rule_says_what_it_is if {
	with_about(json.remove(about, {"title"})) == {"the rule has no title"}
	with_about(object.union(about, {"description": " "})) == {"the rule has no description"}
	with_about(object.union(about, {"scope": "document"})) == messages({"jurisdiction/xx/xx.rego": json.patch(
		annotated(source, about),
		[{"op": "remove", "path": "/rules/1/annotations"}],
	)})
}

test_a_rule_without_annotation_lacks_everything if {
	found := messages({"jurisdiction/xx/xx.rego": json.patch(
		annotated(source, about),
		[{"op": "remove", "path": "/rules/1/annotations"}],
	)})
	custom_missing := {sprintf("the rule has no custom.%s", [field]) | some field, _ in custom}
	found == custom_missing | {"the rule has no title", "the rule has no description"}
}

test_every_part_of_custom_is_needed_and_no_other if {
	with_custom("citation", 7) == {"the rule has no custom.citation"}
	with_custom("severity", "high") == {"custom.severity means nothing"}
	every field in ["citation", "remedy", "term", "effective_on", "state", "code"] {
		without_custom(field) == {sprintf("the rule has no custom.%s", [field])}
	}
}

test_a_code_begins_with_its_package_and_is_tested if {
	with_custom("code", "xx.two") == {"no test beside the rule names its code"}
	every code in ["yy.one", "xx.One", "xxone", "xx.one.two", "xx.1"] {
		with_custom("code", code) == {
			"the code is not xx.<name>, in lower case, digits and underscores",
			"no test beside the rule names its code",
		}
	}
}

test_the_tests_beside_the_rules_name_admissible_calls if {
	unnamed := rego.parse_module("xx_test.rego", replace(its_test, "admissible", "allowed"))
	messages({"jurisdiction/xx/xx_test.rego": unnamed}) == {"package jurisdiction.xx_test names no admissible calls"}
}

test_a_code_is_used_once if {
	twice := concat("\n", [source, "warn contains violation.new(rego.metadata.rule(), \"s\", \"m\") if good"])
	module := json.patch(annotated(twice, about), [{"op": "add", "path": "/rules/3/annotations", "value": [about]}])
	messages({"jurisdiction/xx/xx.rego": module}) == {"the code is used by another rule"}
}

test_a_date_is_a_day_that_there_was if {
	with_custom("effective_on", 20260101) == {
		"the rule has no custom.effective_on",
		"effective_on is no date in quotes: 20260101",
	}
	every date in ["2024-02-29", "2000-02-29", "2023-12-31", "2026-04-30"] {
		with_custom("effective_on", date) == set()
	}
	every date in ["2023-02-29", "1900-02-29", "2026-04-31", "2026-13-01", "2026-00-01", "2026-1-1", "soon"] {
		with_custom("effective_on", date) == {sprintf("effective_on is no date in quotes: %v", [date])}
	}
}

test_a_state_is_one_of_two if {
	with_custom("state", "shadow") == set()
	with_custom("state", "off") == {"state is neither enforced nor shadow: off"}
}

test_a_violation_is_made_from_the_rules_own_metadata if {
	expected := "write: deny contains violation.new(rego.metadata.rule(), subject, message) if"
	every head in [`"text"`, `violation.about(rego.metadata.rule(), "s", "m")`, `violation.new({}, "s", "m")`, `x`] {
		with_source(replace(source, `violation.new(rego.metadata.rule(), "s", "m")`, head)) == {expected}
	}
}

test_a_package_has_an_id_that_is_its_name if {
	expected := "package jurisdiction.xx has no rule id := \"xx\""
	with_source(replace(source, `id := "xx"`, `id := "yy"`)) == {expected}
	with_source(replace(source, `id := "xx"`, `name := "xx"`)) == {expected}
}

test_a_package_says_what_it_is if {
	every patch in [
		{"op": "remove", "path": "/annotations"},
		{"op": "remove", "path": "/annotations/0/title"},
		{"op": "replace", "path": "/annotations/0/description", "value": ""},
		{"op": "replace", "path": "/annotations/0/scope", "value": "subpackages"},
	] {
		module := json.patch(annotated(source, about), [patch])
		messages({"jurisdiction/xx/xx.rego": module}) == {"the package has no title or no description"}
	}
}

test_a_package_is_in_the_folder_of_its_name if {
	found := messages({"jurisdiction/xx/deep/more.rego": rego.parse_module("more.rego", "package jurisdiction.xx\n\nx := 1")})
	found == {"package jurisdiction.xx is not in the folder of its name"}
}

test_after_not_stands_a_helper_with_plain_arguments if {
	expected := "after not only a helper with plain names or literals as arguments"
	every loose in [
		"not input.now",
		"not good[input.now]",
		"not data.jurisdiction.xx.good",
		`not "x" in input.request.models`,
		`not input.now == "x"`,
		"not lib.holds(input.now)",
		"not lib.holds(params.floor)",
		"not lib.holds([input.now])",
		"not lib.holds(good)",
		"not lib.holds(violation)",
		"not lib[good]",
	] {
		with_source(replace(source, "not good", loose)) == {expected}
	}
	every plain in ["not lib.good", `not lib.holds(1, "x", true, null)`, "not lib.holds(local)"] {
		with_source(replace(source, "not good", plain)) == set()
	}
	renamed := "import data.lib.dates as times\n\nimport data.lib.violation"
	aliased := replace(replace(source, "import data.lib.violation", renamed), "not good", "not lib.holds(times)")
	with_source(aliased) == {expected}
}

test_a_rule_of_another_file_of_the_package_is_no_plain_argument if {
	expected := "after not only a helper with plain names or literals as arguments"
	module := annotated(replace(source, "not good", "not lib.holds(floor)"), about)
	messages({"jurisdiction/xx/xx.rego": module}) == set()
	more := rego.parse_module("more.rego", "package jurisdiction.xx\n\nfloor := data.params.xx.floor")
	messages({"jurisdiction/xx/xx.rego": module, "jurisdiction/xx/more.rego": more}) == {expected}
}

# A rule that denies for each adaptation, with something in place of its body's last line.
each(line) := replace(source, `"s", "m") if not good`, concat("\n", [
	`adaptation.model, message) if {`,
	`	some i, adaptation in input.adaptations`,
	`	not good`,
	sprintf("\t%s", [line]),
	`}`,
]))

test_a_rule_that_denies_denies_the_absence_of_something_good if {
	with_source(replace(source, "not good", "true")) == {
		"write a helper that holds when all is well, and deny if not helper: what is missing would pass",
		only_firm,
	}
	found := with_source(replace(source, "not good", `input.environment.owner == ""`))
	"write a helper that holds when all is well, and deny if not helper: what is missing would pass" in found
}

only_firm := "a rule that denies holds only: some … in the facts, not helper, message := text of what is in every call's facts"

test_what_a_rule_that_denies_reads_is_in_the_facts_of_every_call if {
	every line in [
		`message := "text"`,
		`message := sprintf("%v of %v", [adaptation.model, input.environment.id])`,
		`message := sprintf("%v", [input.adaptations[i].base])`,
		`message := sprintf("%v", [adaptation.declarations])`,
		"some corpus in adaptation.corpora\n\tmessage := corpus.name",
	] {
		with_source(each(line)) == set()
	}
	every line in [
		`message := sprintf("%v", [adaptation.declarations.provider])`,
		`message := sprintf("%v", [input.environment.declarations["impact-level"]])`,
		`message := sprintf("%v", [adaptation.hyperparameters.n_epochs])`,
		`message := sprintf("%v", [params.floor])`,
		`message := sprintf("%v", [data.params.xx.floor])`,
		`message := sprintf("%v", [input.adaptations[0].model])`,
		`message := sprintf("%v", [floor])`,
		`message := concat(" ", adaptation.methods)`,
		`message := [text | some text in adaptation.methods][0]`,
		"some corpus in params.corpora\n\tmessage := corpus.name",
		"message := adaptation.model\n\tevery corpus in adaptation.corpora { corpus.records > 0 }",
		"message := adaptation.model\n\tadaptation.declarations.provider",
		"message := adaptation.model\n\tlib.holds(i)",
		"some message\n\tadaptation.methods[message]",
	] {
		only_firm in with_source(each(line))
	}
}

test_subject_and_message_are_in_the_facts_of_every_call if {
	with_source(replace(source, `"s", "m"`, `input.environment.id, "m"`)) == set()
	expected := {"subject and message must be in every call's facts: where one is missing, the rule does not deny"}
	every words in [`input.environment.declarations.owner, "m"`, `"s", params.text`, `lib.subject, "m"`] {
		with_source(replace(source, `"s", "m"`, words)) == expected
	}
}

test_a_helper_shows_what_holds if {
	expected := {"not stands in deny and warn only: a helper shows what holds, not what does not"}
	doubled := "good if not bad\n\nbad if input.now"
	with_source(replace(source, "good if input.now", doubled)) == expected
	nested := "good if count([1 | some x in input.xs; not bad]) > 0\n\nbad if input.now"
	with_source(replace(source, "good if input.now", nested)) == expected
}

test_nothing_holds_by_default if {
	with_source(concat("\n", [source, "default good := false"])) == set()
	found := with_source(concat("\n", [source, "default good := true"]))
	found == {"a default is false: what is not shown does not hold"}
}

test_no_rule_reads_other_facts_than_those_of_the_call if {
	expected := {"with belongs in tests: a rule reads the facts as they are"}
	with_source(replace(source, "not good", `not good with input as {"now": 1}`)) == expected
	with_source(replace(source, "good if input.now", `good if input.now with input as {"now": 1}`)) == expected
}

test_a_jurisdiction_has_no_rule_called_allow if {
	expected := {"a rule called allow is never asked, for a jurisdiction can only deny: write deny … if not helper"}
	every rule in ["allow if input.now", "default allow := false", "allow contains \"m\" if input.now"] {
		with_source(concat("\n", [source, rule])) == expected
	}
}

test_tests_and_the_lint_itself_may_negate_as_they_like if {
	loose := "import data.lint\n\nx if not input.now"
	messages({"lint/more.rego": rego.parse_module("more.rego", concat("\n\n", ["package lint", loose]))}) == set()
	messages({"lib/x/x_test.rego": rego.parse_module("x_test.rego", concat("\n\n", ["package lib.x_test", loose]))}) == set()
}

entrypoint := `package admission

violations contains "v" if not good

good if input.now
`

entrypoint_test := `package admission_test

test_one if {
	"one" in data.admission.violations
}

helper := "two"
`

condition := {
	"scope": "rule",
	"title": "One",
	"description": "What it checks.",
	"custom": {"code": "one", "citation": "The guide.", "remedy": "Do it.", "term": "now"},
}

of_the_call(annotation) := messages({
	"admission/decision.rego": json.patch(rego.parse_module("decision.rego", entrypoint), [
		{"op": "add", "path": "/annotations", "value": []},
		{"op": "add", "path": "/rules/0/annotations", "value": [annotation]},
	]),
	"admission/decision_test.rego": rego.parse_module("decision_test.rego", entrypoint_test),
})

with_condition(field, value) := of_the_call(object.union(condition, {"custom": {field: value}}))

test_a_condition_on_the_call_says_what_it_is if {
	of_the_call(condition) == set()
	every field in ["title", "description"] {
		of_the_call(json.remove(condition, {field})) == {sprintf("the condition has no %s", [field])}
	}
	every field in ["citation", "remedy", "term"] {
		with_condition(field, " ") == {sprintf("the condition has no custom.%s", [field])}
	}
}

test_a_condition_on_the_call_has_a_code_that_a_test_names if {
	of_the_call(json.remove(condition, {"custom/code"})) == set()
	with_condition("code", "two") == {"no test beside the entrypoint names the code"}
	with_condition("code", "xx.one") == {
		"the code is not in lower case, digits and underscores",
		"no test beside the entrypoint names the code",
	}
}

test_a_condition_on_the_call_has_a_code_of_its_own if {
	twice := concat("\n", [entrypoint, "violations contains \"w\" if not good\n"])
	module := json.patch(rego.parse_module("decision.rego", twice), [
		{"op": "add", "path": "/annotations", "value": []},
		{"op": "add", "path": "/rules/0/annotations", "value": [condition]},
		{"op": "add", "path": "/rules/2/annotations", "value": [condition]},
	])
	messages({
		"admission/decision.rego": module,
		"admission/decision_test.rego": rego.parse_module("decision_test.rego", entrypoint_test),
	}) == {"the code is used by another condition"}
}
