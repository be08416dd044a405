# METADATA
# title: The lint
# description: >-
#   What a reader of the policies may rely on, checked over the parsed sources. The input is
#   `{"modules": {path: module}}`: for each file its path below `policies/` and what `opa parse` says of
#   it. Nothing here decides a call; no bundle needs it.
package lint

# METADATA
# title: Everything that is wrong, and where
# description: Empty for policies that may be merged.
problems contains {"file": file, "row": row, "code": code, "message": message} if {
	some [file, row, code, message] in found
}

# METADATA
# title: The rules of all jurisdictions that say no or warn
rules contains {"file": file, "package": id, "rule": rule} if {
	some file, module in input.modules
	id := jurisdiction(module)
	some rule in module.rules
	rule.head.name in {"deny", "warn"}
}

# One that has no annotation of its own gets an empty one, so that everything is missing from it.
about(rule) := annotations[0] if {
	annotations := [one | some one in rule.annotations; one.scope == "rule"]
	count(annotations) > 0
} else := {}

custom(rule) := object.get(about(rule), "custom", {})

code_of(rule) := object.get(custom(rule), "code", "")

row_of(rule) := object.get(rule, ["head", "location", "row"], 1)

# ---- What a rule says of itself -------------------------------------------------------------------

found contains [one.file, row_of(one.rule), code_of(one.rule), message] if {
	some one in rules
	some field in ["title", "description"]
	not says(about(one.rule), field)
	message := sprintf("the rule has no %s", [field])
}

required := ["code", "citation", "remedy", "term", "effective_on", "state"]

found contains [one.file, row_of(one.rule), code_of(one.rule), message] if {
	some one in rules
	some field in required
	not says(custom(one.rule), field)
	message := sprintf("the rule has no custom.%s", [field])
}

found contains [one.file, row_of(one.rule), code_of(one.rule), message] if {
	some one in rules
	some field in (object.keys(custom(one.rule)) - {name | some name in required})
	message := sprintf("custom.%s means nothing", [field])
}

found contains [one.file, row_of(one.rule), code, message] if {
	some one in rules
	code := code_of(one.rule)
	code != ""
	not coded(code, one["package"])
	message := sprintf("the code is not %s.<name>, in lower case, digits and underscores", [one["package"]])
}

found contains [one.file, row_of(one.rule), code, "the code is used by another rule"] if {
	some one in rules
	code := code_of(one.rule)
	code != ""
	some other in rules
	other != one
	code_of(other.rule) == code
}

found contains [one.file, row_of(one.rule), code_of(one.rule), message] if {
	some one in rules
	value := custom(one.rule).effective_on
	not date(value)
	message := sprintf("effective_on is no date in quotes: %v", [value])
}

found contains [one.file, row_of(one.rule), code_of(one.rule), message] if {
	some one in rules
	value := custom(one.rule).state
	not known_state(value)
	message := sprintf("state is neither enforced nor shadow: %v", [value])
}

found contains [one.file, row_of(one.rule), code_of(one.rule), message] if {
	some one in rules
	not made_from_metadata(one.rule)
	message := sprintf("write: %s contains violation.new(rego.metadata.rule(), subject, message) if", [one.rule.head.name])
}

found contains [one.file, row_of(one.rule), code, "no test beside the rule names its code"] if {
	some one in rules
	code := code_of(one.rule)
	code != ""
	not tested(code, one["package"])
}

says(document, field) if {
	is_string(document[field])
	trim_space(document[field]) != ""
}

coded(code, id) if {
	parts := split(code, ".")
	count(parts) == 2
	parts[0] == id
	regex.match(`^[a-z][a-z0-9_]*$`, parts[1])
}

known_state(value) if value in {"enforced", "shadow"}

date(value) if {
	is_string(value)
	regex.match(`^(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`, value)
	[year, month, day] := [to_number(trim_left(part, "0")) | some part in split(value, "-")]
	day <= days(year, month)
}

days(year, month) := 29 if {
	month == 2
	leap(year)
} else := [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]

leap(year) if {
	year % 4 == 0
	year % 100 != 0
}

leap(year) if year % 400 == 0

# The annotation can only be read where it stands: inside the rule's own head.
made_from_metadata(rule) if {
	called(rule.head.key.value[0], ["violation", "new"])
	called(rule.head.key.value[1].value[0], ["rego", "metadata", "rule"])
}

called(operator, names) if [part.value | some part in operator.value] == names

tested(code, id) if named_by_test(code, ["jurisdiction", sprintf("%s_test", [id])])

named_by_test(code, path) if {
	some module in input.modules
	package_of(module) == path
	some rule in module.rules
	startswith(rule.head.name, "test_")
	walk(rule, [_, node])
	node.type == "string"
	node.value == code
}

# ---- What a condition on the call as a whole says of itself ------------------------------------------

# METADATA
# title: The conditions of the entrypoint on the call as a whole
conditions contains {"file": file, "rule": rule} if {
	some file, module in input.modules
	package_of(module) == ["admission"]
	some rule in module.rules
	code_of(rule) != ""
}

found contains [one.file, row_of(one.rule), code_of(one.rule), message] if {
	some one in conditions
	some field in ["title", "description"]
	not says(about(one.rule), field)
	message := sprintf("the condition has no %s", [field])
}

found contains [one.file, row_of(one.rule), code_of(one.rule), message] if {
	some one in conditions
	some field in ["citation", "remedy", "term"]
	not says(custom(one.rule), field)
	message := sprintf("the condition has no custom.%s", [field])
}

found contains [one.file, row_of(one.rule), code, "the code is not in lower case, digits and underscores"] if {
	some one in conditions
	code := code_of(one.rule)
	not regex.match(`^[a-z][a-z0-9_]*$`, code)
}

found contains [one.file, row_of(one.rule), code, "the code is used by another condition"] if {
	some one in conditions
	code := code_of(one.rule)
	some other in conditions
	other != one
	code_of(other.rule) == code
}

found contains [one.file, row_of(one.rule), code, "no test beside the entrypoint names the code"] if {
	some one in conditions
	code := code_of(one.rule)
	not named_by_test(code, ["admission_test"])
}

# ---- What a package says of itself ----------------------------------------------------------------

found contains [file, 1, "", message] if {
	some file, module in input.modules
	id := jurisdiction(module)
	not identified(id)
	message := sprintf("package jurisdiction.%s has no rule id := %q", [id, id])
}

found contains [file, 1, "", "the package has no title or no description"] if {
	some file, module in input.modules
	jurisdiction(module)
	defines_id(module)
	not introduced(module)
}

found contains [file, 1, "", message] if {
	some file, module in input.modules
	defines_id(module)
	id := jurisdiction(module)
	not sampled(id)
	message := sprintf("package jurisdiction.%s_test names no admissible calls", [id])
}

found contains [file, 1, "", message] if {
	some file, module in input.modules
	path := [trim_suffix(part, "_test") | some part in package_of(module)]
	folder := array.slice(split(file, "/"), 0, count(split(file, "/")) - 1)
	path != folder
	message := sprintf("package %s is not in the folder of its name", [concat(".", package_of(module))])
}

package_of(module) := [part.value | some i, part in module["package"].path; i > 0]

jurisdiction(module) := path[1] if {
	path := package_of(module)
	count(path) == 2
	path[0] == "jurisdiction"
	not endswith(path[1], "_test")
}

defines_id(module) if {
	some rule in module.rules
	rule.head.name == "id"
}

identified(id) if {
	some module in input.modules
	jurisdiction(module) == id
	some rule in module.rules
	rule.head.name == "id"
	rule.head.value.value == id
}

# The calls that are admitted: with them anybody can see what a threshold or list decides.
sampled(id) if {
	some module in input.modules
	package_of(module) == ["jurisdiction", sprintf("%s_test", [id])]
	some rule in module.rules
	rule.head.name == "admissible"
}

introduced(module) if {
	some annotation in module.annotations
	annotation.scope == "package"
	says(annotation, "title")
	says(annotation, "description")
}
